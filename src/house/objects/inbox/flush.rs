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

impl Coming {
    fn refuse(&self, fault: &Fault) {
        let _ = self.reject.call1(&JsValue::UNDEFINED, &refuse("inbox", fault));
    }
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
        self.note_done(&self.flush.done.take());
        let fresh = self.take_coming(&self.flush.coming.take());
        // What is stored is stored: a missing alarm is set by whoever asks next.
        self.arm().unwrap_or_else(|fault| note_fault("inbox", &fault));
        let begun = self.begin(fresh);
        self.settled(begun);
    }

    /// Writes down what attempts came to: before all else, so that nothing that fails beside it has
    /// a backend asked again that said yes.
    fn note_done(&self, done: &[Done]) {
        if done.is_empty() {
            return;
        }
        let keep = |Done { seq, id, turn }: &Done| self.keep_turn(*seq, id, turn);
        let together = self.store.transaction(&mut || done.iter().try_for_each(keep));
        for one in done {
            // If it fails, each by itself: one that cannot be stored takes no other with it.
            let stored = match &together {
                Ok(()) => Ok(()),
                Err(_) => self.store.transaction(&mut || keep(one)),
            };
            self.pace.borrow_mut().end(one.seq);
            if let Err(fault) = stored {
                // What could not be stored is not tried in a circle.
                note_fault("inbox", &fault);
                self.failed.set(true);
                self.stop_working();
            }
        }
    }

    /// Stores what came, all together; if that fails, each by itself. Whoever waits hears of it.
    fn take_coming(&self, coming: &[Coming]) -> Vec<Event> {
        let mut all = Vec::new();
        let stored = self.store.transaction(&mut || {
            all = coming.iter().map(|it| self.taken(it)).collect::<Result<_, _>>()?;
            Ok(())
        });
        let mut fresh = Vec::new();
        let mut told = |coming: &Coming, (reply, event): (String, Option<Event>)| {
            fresh.extend(event);
            let _ = coming.resolve.call1(&JsValue::UNDEFINED, &JsValue::from(reply));
        };
        if stored.is_ok() {
            coming.iter().zip(all).for_each(|(coming, taken)| told(coming, taken));
            return fresh;
        }
        for coming in coming {
            let mut taken = None;
            let stored = self.store.transaction(&mut || {
                taken = Some(self.taken(coming)?);
                Ok(())
            });
            match (stored, taken) {
                (Ok(()), Some(taken)) => told(coming, taken),
                (Err(fault), _) => coming.refuse(&fault),
                (Ok(()), None) => coming.refuse(&Fault("nothing was stored".to_owned())),
            }
        }
        fresh
    }

    fn taken(&self, coming: &Coming) -> Result<(String, Option<Event>), Fault> {
        let (taken, event) = self.take(&coming.take, &coming.body)?;
        Ok((to_text(&InboxReply::Taken(taken))?, event))
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
