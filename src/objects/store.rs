//! An object's database, and its one alarm.

use core::cell::Cell;

use js_sys::{Date, Object};
use tollgate_core::road::Fault;
use tollgate_core::time::UnixMillis;
use wasm_bindgen::JsValue;
use worker::{SqlStorage, SqlStorageValue, State};

/// One row: its columns in the order of the query.
pub(super) type Row = Vec<SqlStorageValue>;

/// The storage of one object.
#[derive(Debug)]
pub(super) struct Store {
    state: State,
    sql: SqlStorage,
    /// True once the tables are there.
    has_tables: Cell<bool>,
    /// What makes the tables.
    schema: &'static str,
    /// When the alarm goes off, as far as this instance knows.
    alarm: Cell<Option<UnixMillis>>,
}

impl Store {
    pub(super) fn new(state: State, schema: &'static str) -> Self {
        let sql = state.storage().sql();
        Self { state, sql, has_tables: Cell::new(false), schema, alarm: Cell::new(None) }
    }

    /// The rows of a query; none while nothing was ever stored, so that an object that was only
    /// asked leaves nothing behind.
    pub(super) fn rows(
        &self,
        query: &str,
        values: Vec<SqlStorageValue>,
    ) -> Result<Vec<Row>, Fault> {
        if !self.has_tables.get() {
            let tables = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'entry'";
            if self.exec(tables, Vec::new())?.is_empty() {
                return Ok(Vec::new());
            }
            self.has_tables.set(true);
        }
        self.exec(query, values)
    }

    /// Changes rows. One statement is stored whole or not at all.
    pub(super) fn write(&self, statement: &str, values: Vec<SqlStorageValue>) -> Result<(), Fault> {
        if !self.has_tables.get() {
            self.exec(self.schema, Vec::new())?;
            self.has_tables.set(true);
        }
        self.exec(statement, values).map(|_| ())
    }

    /// Has the alarm go off at `at`, unless it goes off before. It is stored with the rows of this
    /// turn. A new instance does not know of an alarm that was set before it, and replaces it: so
    /// what waits for one says so again when it is loaded.
    pub(super) fn wake_at(&self, at: UnixMillis) -> Result<(), Fault> {
        if self.alarm.get().is_some_and(|alarm| alarm <= at) {
            return Ok(());
        }
        #[allow(clippy::cast_precision_loss)] // milliseconds fit a double for 285 000 years
        let date = Date::new(&JsValue::from_f64(at.as_millis() as f64));
        let stored = self.state.storage().as_raw().set_alarm(date, Object::new());
        // Nobody needs to wait for it: the output gate does.
        let _ = stored.map_err(|error| fault(&error))?;
        self.alarm.set(Some(at));
        Ok(())
    }

    /// The alarm went off: the next one can be set.
    pub(super) fn woken(&self) {
        self.alarm.set(None);
    }

    /// Deletes everything, as if the object had never been asked. The alarm goes too.
    pub(super) async fn delete_all(&self) -> Result<(), Fault> {
        self.has_tables.set(false);
        self.alarm.set(None);
        self.state.storage().delete_all().await.map_err(|error| Fault(error.to_string()))
    }

    fn exec(&self, statement: &str, values: Vec<SqlStorageValue>) -> Result<Vec<Row>, Fault> {
        let told = |error: worker::Error| Fault(error.to_string());
        let cursor = self.sql.exec(statement, values).map_err(told)?;
        cursor.raw().collect::<Result<_, _>>().map_err(told)
    }
}

/// The columns of a row that holds two texts.
pub(super) fn two_texts(row: Row) -> Option<(String, String)> {
    match <[SqlStorageValue; 2]>::try_from(row) {
        Ok([SqlStorageValue::String(first), SqlStorageValue::String(second)]) => {
            Some((first, second))
        }
        _ => None,
    }
}

/// The one column of a row that holds a text.
pub(super) fn one_text(row: Row) -> Option<String> {
    match <[SqlStorageValue; 1]>::try_from(row) {
        Ok([SqlStorageValue::String(text)]) => Some(text),
        _ => None,
    }
}

/// The one column of a row that holds a count.
pub(super) fn one_count(row: Row) -> Option<u64> {
    match <[SqlStorageValue; 1]>::try_from(row) {
        Ok([SqlStorageValue::Integer(count)]) => count.try_into().ok(),
        _ => None,
    }
}

/// A row that does not have the columns it was written with.
pub(super) fn damaged() -> Fault {
    Fault("a stored row does not have its columns".to_owned())
}

fn fault(error: &JsValue) -> Fault {
    crate::bindings::fault(error)
}

/// What a caller gets of a fault: nothing but that there was one. The operator's log has the rest.
pub(super) fn refuse(object: &str, fault: &Fault) -> JsValue {
    worker::console_error!("{{\"object\":{object:?},\"fault\":{:?}}}", fault.0);
    JsValue::from_str("the object could not answer")
}
