//! Writing together what comes together. A commit waits for the disk, and so does everybody behind
//! it: of a busy source many events, and what attempts came to, go into one.

use core::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{Function, Promise, Uint8Array};
use tollgate_core::inbox::{EventId, InboxReply, Take, Turn};
use tollgate_core::road::Fault;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use super::super::store::{note_fault, refuse};
use super::deliver::Event;
use super::{Inbox, to_text};
use crate::house::bindings::after;

/// What comes within so many milliseconds is stored together.
const GATHERS: i32 = 5;

/// What is to be stored next.
#[derive(Default)]
pub(super) struct Flush {
    coming: RefCell<Vec<Coming>>,
    done: RefCell<Vec<Done>>,
    due: Cell<bool>,
}

/// An event that is to be kept, and whoever waits to hear of it.
struct Coming {
    take: Take,
    body: Uint8Array,
    resolve: Function,
    reject: Function,
}

/// What an attempt came to. Its event counts as on its way until that is stored: else it would be
/// started once more.
pub(super) struct Done {
    pub(super) seq: u64,
    pub(super) id: EventId,
    pub(super) turn: Turn,
}

impl Inbox {
    /// Keeps an event: the promise of its [`InboxReply`].
    pub(super) fn stored_soon(self: &Rc<Self>, take: Take, body: Uint8Array) -> JsValue {
        let mut both = None;
        let promise = Promise::new(&mut |resolve, reject| both = Some((resolve, reject)));
        if let Some((resolve, reject)) = both {
            self.flush.coming.borrow_mut().push(Coming { take, body, resolve, reject });
            self.flush_soon();
        }
        promise.into()
    }

    /// Writes down what an attempt came to.
    pub(super) fn ended(self: &Rc<Self>, done: Done) {
        self.flush.done.borrow_mut().push(done);
        self.flush_soon();
    }

    fn flush_soon(self: &Rc<Self>) {
        if self.flush.due.replace(true) {
            return;
        }
        let inbox = Rc::clone(self);
        spawn_local(async move {
            after(GATHERS).await;
            inbox.flush.due.set(false);
            inbox.flush();
        });
    }

    fn flush(self: &Rc<Self>) {
        let (coming, done) = (self.flush.coming.take(), self.flush.done.take());
        let mut replies = Vec::new();
        let mut fresh: Vec<Event> = Vec::new();
        let stored = self.store.transaction(&mut || {
            (replies, fresh) = (Vec::new(), Vec::new());
            for Done { seq, id, turn } in &done {
                self.keep_turn(*seq, id, turn)?;
            }
            for Coming { take, body, .. } in &coming {
                let (taken, event) = self.take(take, body)?;
                fresh.extend(event);
                replies.push(to_text(&InboxReply::Taken(taken))?);
            }
            Ok(())
        });
        let stored = stored.and_then(|()| self.arm());
        for Done { seq, .. } in &done {
            self.pace.borrow_mut().end(*seq);
        }
        if let Err(fault) = &stored {
            // What could not be stored is not tried in a circle.
            self.stop_working();
            self.stored.set(None);
            let told = refuse("inbox", fault);
            for Coming { reject, .. } in coming {
                let _ = reject.call1(&JsValue::UNDEFINED, &told);
            }
            return self.settled(Ok(()));
        }
        for (Coming { resolve, .. }, reply) in coming.iter().zip(replies) {
            let _ = resolve.call1(&JsValue::UNDEFINED, &JsValue::from(reply));
        }
        let begun = self.begin(fresh);
        self.settled(begun);
    }

    /// Something has ended: there is room for more, or nothing left to wait for.
    fn settled(self: &Rc<Self>, before: Result<(), Fault>) {
        let next = before.and_then(|()| if self.behind.get() { self.pump() } else { Ok(()) });
        next.unwrap_or_else(|fault| note_fault("inbox", &fault));
        if self.pace.borrow().is_empty() {
            self.signal.give();
        }
    }
}
