//! The one thread that writes. Orders that wait are carried out together and committed once: a commit costs as much for
//! hundreds as for one, and writers of their own would wait for each other.

use super::fault::{Condition, Fault};
use super::tables::Tables;
use crate::core::ports::journals::Promise;
use crate::core::ports::store::StoreError;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Orders that may wait to be carried out; who has one more waits to give it.
const QUEUE: usize = 1024;

/// Orders that are committed together, at most.
const TOGETHER: usize = 256;

/// Takes orders.
pub struct Writer {
    orders: Option<SyncSender<Box<dyn Order>>>,
    room: Arc<Semaphore>,
    thread: Option<JoinHandle<()>>,
}

/// Something to be written, and somebody who waits for it.
trait Order: Send {
    fn promise(&self) -> Promise;

    /// Carries it out and says whether that went well. It may be done over, after what it did was undone.
    fn carry_out(&mut self, tables: &mut Tables) -> bool;

    /// The fault it has met, or all that it was committed with.
    fn fail(&mut self, error: StoreError);

    fn answer(self: Box<Self>);
}

struct Work<T, F> {
    work: F,
    promise: Promise,
    condition: Condition,
    done: Result<T, StoreError>,
    reply: oneshot::Sender<Result<T, StoreError>>,
    _room: OwnedSemaphorePermit,
}

impl<T: Send, F: Fn(&mut Tables) -> Result<T, Fault> + Send> Order for Work<T, F> {
    fn promise(&self) -> Promise {
        self.promise
    }

    fn carry_out(&mut self, tables: &mut Tables) -> bool {
        self.done = (self.work)(tables).map_err(|fault| self.condition.note(fault));
        self.done.is_ok()
    }

    fn fail(&mut self, error: StoreError) {
        self.done = Err(error);
    }

    fn answer(self: Box<Self>) {
        // Whoever does not wait for it any more has its order carried out all the same.
        let _ = self.reply.send(self.done);
    }
}

impl Writer {
    /// Starts the thread.
    pub fn start(tables: Tables, condition: Condition) -> std::io::Result<Self> {
        let (orders, receiver) = sync_channel(QUEUE);
        let desk = Desk { tables, orders: receiver, condition };
        // Of its own, as it lives as long as the store and blocks for most of that: no request ever starts one.
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || desk.serve())?;
        Ok(Self { orders: Some(orders), room: Arc::new(Semaphore::new(QUEUE)), thread: Some(thread) })
    }

    /// Has something written and committed, with as much as the promise asks for.
    pub async fn order<T: Send + 'static>(
        &self,
        condition: &Condition,
        promise: Promise,
        work: impl Fn(&mut Tables) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = || StoreError::Failed("the store is closed".to_owned());
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(|_| closed())?;
        let (reply, answer) = oneshot::channel();
        let condition = condition.clone();
        let order = Work { work, promise, condition, done: Err(closed()), reply, _room: room };
        let orders = self.orders.as_ref().ok_or_else(closed)?;
        orders.try_send(Box::new(order)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

impl Drop for Writer {
    /// Lets the thread carry out what was ordered and close the database.
    fn drop(&mut self) {
        self.orders = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the store has crashed");
        }
    }
}

/// What the thread has before it.
struct Desk {
    tables: Tables,
    orders: Receiver<Box<dyn Order>>,
    condition: Condition,
}

impl Desk {
    fn serve(mut self) {
        while let Some(first) = self.next() {
            let rest = std::iter::from_fn(|| self.orders.try_recv().ok()).take(TOGETHER.saturating_sub(1));
            let mut orders: Vec<_> = std::iter::once(first).chain(rest).collect();
            self.carry_out(&mut orders);
            orders.into_iter().for_each(Order::answer);
        }
        if let Err(error) = self.tables.close() {
            tracing::warn!(%error, "the store was not tidied up at its end; the next start does that");
        }
    }

    /// The next order; what there is to tidy up is done meanwhile, a little at a time.
    fn next(&mut self) -> Option<Box<dyn Order>> {
        let mut paused = false;
        loop {
            match self.orders.try_recv() {
                Ok(order) => return Some(order),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) if self.tidy(paused) => {}
                Err(TryRecvError::Empty) => match self.orders.recv_timeout(self.tables.pause()) {
                    Ok(order) => return Some(order),
                    Err(RecvTimeoutError::Disconnected) => return None,
                    Err(RecvTimeoutError::Timeout) => paused = true,
                },
            }
        }
    }

    /// Says whether there is more.
    fn tidy(&mut self, paused: bool) -> bool {
        let tidied = self.tables.tidy(paused);
        self.condition.count(self.tables.totals.responses);
        tidied.unwrap_or_else(|fault| {
            self.condition.note(fault);
            false
        })
    }

    /// All in one transaction. Where that is lost, each order gets its own: one that cannot be carried out must not fail
    /// its neighbours.
    fn carry_out(&mut self, orders: &mut [Box<dyn Order>]) {
        let attempt = match self.attempt(orders) {
            Err(fault) if fault.is_full() && self.tables.empty_log() => self.attempt(orders),
            attempt => attempt,
        };
        let Err(lost) = attempt else { return };
        if orders.len() > 1 {
            return orders.iter_mut().for_each(|order| self.carry_out(std::slice::from_mut(order)));
        }
        if let Fault::Lost = lost {
            // The order knows better what for.
            return;
        }
        let error = self.condition.note(lost);
        orders.iter_mut().for_each(|order| order.fail(error.clone()));
    }

    fn attempt(&mut self, orders: &mut [Box<dyn Order>]) -> Result<(), Fault> {
        let promise = orders.iter().map(|order| order.promise()).max().unwrap_or(Promise::Process);
        let (mut all_well, condition) = (true, self.condition.clone());
        let wrote = self.tables.transaction(promise, |tables| {
            for order in orders.iter_mut() {
                all_well &= tables.alone(|tables| order.carry_out(tables))?;
            }
            tables.make_room(orders.len())
        })?;
        if wrote && all_well {
            condition.well();
        }
        condition.count(self.tables.totals.responses);
        Ok(())
    }
}
