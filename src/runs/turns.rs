//! Whose turn it is in a conversation: one at a time, in the order in which they came.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A line before each conversation that somebody is at, of a bounded length.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<Conversation, Line>>);

/// Who may wait in one line.
pub const MAX_WAITING: usize = 64;

/// Its principal and its id.
type Conversation = (Arc<str>, String);

#[derive(Debug, Default)]
struct Line {
    /// Who stands in it; the first has the turn.
    tickets: VecDeque<u64>,
    next_ticket: u64,
    /// Somebody has left.
    moved: Arc<Notify>,
}

/// A place in a line. Dropping it gives it up, whether its turn has come or not.
#[derive(Debug)]
pub struct Place {
    turns: Arc<Turns>,
    conversation: Conversation,
    ticket: u64,
    moved: Arc<Notify>,
}

/// As many wait as may.
#[derive(Debug, PartialEq, Eq)]
pub struct Busy;

impl Turns {
    fn lock(&self) -> MutexGuard<'_, HashMap<Conversation, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the last place in the line before this conversation.
    pub fn line_up(self: &Arc<Self>, principal: &Arc<str>, conversation: &str) -> Result<Place, Busy> {
        let conversation = (Arc::clone(principal), conversation.to_owned());
        let mut lines = self.lock();
        let line = lines.entry(conversation.clone()).or_default();
        if line.tickets.len() > MAX_WAITING {
            return Err(Busy);
        }
        let ticket = line.next_ticket;
        line.next_ticket = ticket.saturating_add(1);
        line.tickets.push_back(ticket);
        let moved = Arc::clone(&line.moved);
        drop(lines);
        Ok(Place { turns: Arc::clone(self), conversation, ticket, moved })
    }
}

impl Place {
    /// Waits until everybody before has left. Can be dropped and called again.
    pub async fn turn(&self) {
        loop {
            // Made before the look, so that who leaves in between wakes it.
            let moved = self.moved.notified();
            if self.is_first() {
                return;
            }
            moved.await;
        }
    }

    fn is_first(&self) -> bool {
        let lines = self.turns.lock();
        lines.get(&self.conversation).is_none_or(|line| line.tickets.front() == Some(&self.ticket))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = self.turns.lock();
        if let Some(line) = lines.get_mut(&self.conversation) {
            line.tickets.retain(|ticket| *ticket != self.ticket);
            if line.tickets.is_empty() {
                lines.remove(&self.conversation);
            }
        }
        drop(lines);
        self.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    async fn has_turn(place: &Place) -> bool {
        futures_util::poll!(pin!(place.turn())).is_ready()
    }

    #[tokio::test]
    async fn one_after_the_other_and_who_leaves_is_waited_for_no_more() {
        let (turns, ann, bob) = (Arc::new(Turns::default()), Arc::from("ann"), Arc::from("bob"));
        let line_up = |who| turns.line_up(who, "c").unwrap();
        let (first, second, third, other) = (line_up(&ann), line_up(&ann), line_up(&ann), line_up(&bob));
        assert!(has_turn(&first).await && has_turn(&other).await);
        assert!(!has_turn(&second).await && !has_turn(&third).await);
        {
            let mut waiting = pin!(third.turn());
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
            drop(second);
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
            drop(first);
            waiting.await;
        }
        drop((third, other));
        assert!(turns.lock().is_empty(), "lines that nobody stands in");
    }

    #[tokio::test]
    async fn a_line_has_an_end() {
        let (turns, ann) = (Arc::new(Turns::default()), Arc::from("ann"));
        let mut places: Vec<Place> = (0..=MAX_WAITING).map(|_| turns.line_up(&ann, "c").unwrap()).collect();
        assert_eq!(turns.line_up(&ann, "c").err(), Some(Busy));
        assert!(turns.line_up(&ann, "d").is_ok());
        places.pop();
        assert!(turns.line_up(&ann, "c").is_ok());
    }
}
