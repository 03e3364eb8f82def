//! An object's database, and its one alarm.

use core::cell::Cell;

use js_sys::{Date, Object};
use tollgate_core::road::Fault;
use tollgate_core::time::UnixMillis;
use wasm_bindgen::prelude::*;
use worker::{SqlStorage, SqlStorageValue, State};

#[wasm_bindgen]
extern "C" {
    /// The storage, as far as the `worker` crate does not have it.
    type Transactional;
    #[wasm_bindgen(method, catch, js_name = transactionSync)]
    fn transaction_sync(
        this: &Transactional,
        work: &mut dyn FnMut() -> Result<(), JsValue>,
    ) -> Result<JsValue, JsValue>;
}

/// One row: its columns in the order of the query.
pub(super) type Row = Vec<SqlStorageValue>;

/// What brings the tables of an object that an older version wrote up to the present ones, before
/// those that are missing are made.
#[derive(Debug)]
pub(super) struct Upgrade {
    /// A query that finds a row in an object that needs it, and none in an empty one.
    pub(super) when: &'static str,
    /// What is then done.
    pub(super) then: &'static str,
}

/// The storage of one object.
#[derive(Debug)]
pub(super) struct Store {
    state: State,
    sql: SqlStorage,
    /// True once the tables are there, all of them.
    has_tables: Cell<bool>,
    /// What makes the tables, each part for itself. Any number of times.
    schema: Vec<&'static str>,
    upgrades: &'static [Upgrade],
    alarm: Cell<Alarm>,
    /// The earliest that was asked for since the alarm went off.
    wanted: Cell<Option<UnixMillis>>,
}

/// Bytes of rows that go into one statement: a parameter of it may have 2 MB, of which texts within
/// texts take some more than they are long.
pub(super) const MOST_BYTES: usize = 800_000;

/// When the alarm goes off, as far as this instance knows.
#[derive(Clone, Copy, Debug)]
enum Alarm {
    /// One that was set before this instance is not known to it.
    Unknown,
    /// As [`Self::Unknown`], of an object where several parts wait for the one alarm: it goes off
    /// at once, so that each of them says again when it wants to be woken.
    Shared,
    Off,
    At(UnixMillis),
}

impl Store {
    pub(super) fn new(state: State, schema: &'static str) -> Self {
        Self::with(state, vec![schema], &[], Alarm::Unknown)
    }

    /// The storage of an object of several parts, each with tables of its own, which share the
    /// alarm. One of the tables is named `entry`.
    pub(super) fn of_parts(
        state: State,
        schema: &[&'static str],
        upgrades: &'static [Upgrade],
    ) -> Self {
        Self::with(state, schema.to_vec(), upgrades, Alarm::Shared)
    }

    fn with(
        state: State,
        schema: Vec<&'static str>,
        upgrades: &'static [Upgrade],
        alarm: Alarm,
    ) -> Self {
        let sql = state.storage().sql();
        let (has_tables, alarm) = (Cell::new(false), Cell::new(alarm));
        Self { state, sql, has_tables, schema, upgrades, alarm, wanted: Cell::default() }
    }

    /// The bytes that its database takes, indexes and all, less those that are free.
    pub(super) fn size(&self) -> u64 {
        u64::try_from(self.sql.database_size()).unwrap_or(u64::MAX)
    }

    /// The name that the object was found by.
    pub(super) fn name(&self) -> Result<String, Fault> {
        self.state.id().name().ok_or_else(|| Fault("the object does not know its name".to_owned()))
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
            self.make_tables()?;
        }
        self.exec(query, values)
    }

    /// Changes rows. One statement is stored whole or not at all.
    pub(super) fn write(&self, statement: &str, values: Vec<SqlStorageValue>) -> Result<(), Fault> {
        if !self.has_tables.get() {
            self.make_tables()?;
        }
        self.exec(statement, values).map(|_| ())
    }

    /// The same, of a statement that tells something of the rows that it changed.
    pub(super) fn write_rows(
        &self,
        statement: &str,
        values: Vec<SqlStorageValue>,
    ) -> Result<Vec<Row>, Fault> {
        if !self.has_tables.get() {
            self.make_tables()?;
        }
        self.exec(statement, values)
    }

    /// The same, of values that stay the platform's: bytes are not copied.
    pub(super) fn write_raw(&self, statement: &str, values: Vec<JsValue>) -> Result<(), Fault> {
        if !self.has_tables.get() {
            self.make_tables()?;
        }
        let written = self.sql.exec_raw(statement, values);
        written.map(|_| ()).map_err(|error| Fault(error.to_string()))
    }

    /// Does all of `work`'s changes, or none of them if it fails.
    pub(super) fn transaction(
        &self,
        work: &mut dyn FnMut() -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if !self.has_tables.get() {
            self.make_tables()?;
        }
        let storage = self.state.storage();
        let storage: &JsValue = storage.as_raw();
        let storage: &Transactional = storage.unchecked_ref();
        let mut failed = None;
        let done = storage.transaction_sync(&mut || {
            work().map_err(|fault| {
                failed = Some(fault);
                JsValue::UNDEFINED
            })
        });
        match (done, failed) {
            (_, Some(fault)) => Err(fault),
            (Err(error), None) => Err(fault(&error)),
            (Ok(_), None) => Ok(()),
        }
    }

    /// An object that an older version wrote has fewer tables than there are now.
    fn make_tables(&self) -> Result<(), Fault> {
        for upgrade in self.upgrades {
            if !self.exec(upgrade.when, Vec::new())?.is_empty() {
                self.exec(upgrade.then, Vec::new())?;
            }
        }
        for schema in &self.schema {
            self.exec(schema, Vec::new())?;
        }
        self.has_tables.set(true);
        Ok(())
    }

    /// Has the alarm go off at `at`, unless it goes off before. It is stored with the rows of this
    /// turn. A new instance does not know of an alarm that was set before it, and replaces it: so
    /// what waits for one says so again when it is loaded, or, where parts share it, when the alarm
    /// goes off, which it then does first of all.
    pub(super) fn wake_at(&self, at: UnixMillis) -> Result<(), Fault> {
        self.wanted.set(self.wanted.get().into_iter().chain([at]).min());
        let at = match self.alarm.get() {
            Alarm::At(alarm) if alarm <= at => return Ok(()),
            // The platform takes no time before this one.
            Alarm::Shared => UnixMillis::from_millis(1),
            _ => at,
        };
        self.set_alarm(at)
    }

    /// For an alarm that went off: until [`Self::release`] the next one goes off at `at` at the
    /// latest. What has its turn early may want a far one, and that is stored at once: should the
    /// rest not come to its turn, it has not lost its alarm.
    pub(super) fn hold(&self, at: UnixMillis) -> Result<(), Fault> {
        self.set_alarm(at)
    }

    /// Everything had its turn: the alarm goes off when it is wanted.
    pub(super) fn release(&self) -> Result<(), Fault> {
        match (self.alarm.get(), self.wanted.get()) {
            (Alarm::At(held), Some(wanted)) if held < wanted => self.set_alarm(wanted),
            (Alarm::At(_), None) => {
                let deleted = self.state.storage().as_raw().delete_alarm(Object::new());
                let _ = deleted.map_err(|error| fault(&error))?;
                self.alarm.set(Alarm::Off);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn set_alarm(&self, at: UnixMillis) -> Result<(), Fault> {
        #[allow(clippy::cast_precision_loss)] // milliseconds fit a double for 285 000 years
        let date = Date::new(&JsValue::from_f64(at.as_millis() as f64));
        let stored = self.state.storage().as_raw().set_alarm(date, Object::new());
        // Nobody needs to wait for it: the output gate does.
        let _ = stored.map_err(|error| fault(&error))?;
        self.alarm.set(Alarm::At(at));
        Ok(())
    }

    /// True when an alarm is set, as far as this instance knows.
    pub(super) fn has_alarm(&self) -> bool {
        matches!(self.alarm.get(), Alarm::At(_))
    }

    /// The alarm went off: the next one can be set.
    pub(super) fn woken(&self) {
        self.alarm.set(Alarm::Off);
        self.wanted.set(None);
    }

    /// Deletes everything, as if the object had never been asked. The alarm goes too.
    pub(super) async fn delete_all(&self) -> Result<(), Fault> {
        self.has_tables.set(false);
        self.woken();
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
    crate::house::bindings::fault(error)
}

/// For the operator's log: something about `what` failed, and is not lost by it.
pub(super) fn note_fault(what: &str, fault: &Fault) {
    worker::console_error!("{{\"of\":{what:?},\"fault\":{:?}}}", fault.0);
}

/// What a caller gets of a fault: nothing but that there was one. The operator's log has the rest.
pub(super) fn refuse(object: &str, fault: &Fault) -> JsValue {
    worker::console_error!("{{\"object\":{object:?},\"fault\":{:?}}}", fault.0);
    JsValue::from_str("the object could not answer")
}
