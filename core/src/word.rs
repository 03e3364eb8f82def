//! What somebody says of a field that may be empty: nothing, that it is to be empty, or a value.

use serde::{Deserialize, Serialize};

/// What is said of a field that may be empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word<T> {
    /// Nothing.
    #[default]
    None,
    /// It is to be empty.
    Null,
    /// It is to be this.
    This(T),
}

impl<T> Word<T> {
    /// What is there after it.
    pub fn over(self, before: Option<T>) -> Option<T> {
        match self {
            Self::None => before,
            Self::Null => None,
            Self::This(value) => Some(value),
        }
    }
}
