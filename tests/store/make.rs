//! Things to store.

use nuncio::core::event::{Delta, Outcome, RunEvent};
use nuncio::core::id::RunId;
use nuncio::core::item::{Item, Message, Role, Status};
use nuncio::core::journal::{Journal, Told};
use nuncio::core::ports::journals::{Batch, Ending, Lease, Millis, NewRun, Promise};
use nuncio::core::ports::store::{StoredResponse, Turn};
use std::sync::Arc;
use uuid::Uuid;

/// Runs with greater numbers began later.
pub fn run(number: u128) -> RunId {
    RunId::new(Uuid::from_u128((0x0192 << 112) + number))
}

/// The id of a run's answer.
pub fn id(number: u128) -> String {
    run(number).answer("resp_")
}

pub fn message(id: &str, role: Role, text: &str) -> Item {
    Item::Message(Message { id: id.to_owned(), ..Message::of(role, text) })
}

pub fn turn(text: &str) -> Turn {
    [Arc::new(message("msg_1", Role::User, text))].into()
}

/// A response as it begins.
pub fn beginning(id: &str, previous: Option<&str>) -> StoredResponse {
    StoredResponse {
        id: id.to_owned(),
        previous: previous.map(str::to_owned),
        conversation: None,
        instructions: Some(format!("instructions of {id}")),
        input: turn(&format!("question of {id}")),
        output: [].into(),
        head: format!("{{\"id\":\"{id}\"}}"),
        journal: Arc::default(),
        ended_at: None,
    }
}

/// What a run tells that says these words.
pub fn events(words: &[&str]) -> Vec<Told> {
    let message = Message { id: "msg_0".into(), status: Status::InProgress, content: Vec::new(), ..said("") };
    let item = Arc::new(Item::Message(message));
    let deltas = words.iter().map(|word| RunEvent::Delta { index: 0, delta: Delta::Text((*word).to_owned()) });
    let done = Arc::new(Item::Message(Message { id: "msg_0".into(), ..said(&words.concat()) }));
    let events = [RunEvent::Started, RunEvent::ItemStarted { index: 0, item }].into_iter().chain(deltas);
    let events = events.chain([RunEvent::ItemDone { index: 0, item: done }, finished()]);
    // As the frames of a stream have it: some events make several, some none.
    events.zip(0..).map(|(event, number)| Told { sequence: 2 + number + u64::from(number > 1), event }).collect()
}

fn said(text: &str) -> Message {
    Message::of(Role::Assistant, text)
}

pub fn finished() -> RunEvent {
    RunEvent::Finished { outcome: Outcome::Completed }
}

pub fn journal(told: &[Told]) -> Journal {
    let mut journal = Journal::default();
    told.iter().for_each(|told| journal.push(told.clone()));
    journal
}

/// A response as it is once all of this was told.
pub fn told_to(begun: StoredResponse, told: &[Told], ended_at: Option<u64>) -> StoredResponse {
    let journal = journal(told);
    StoredResponse { output: journal.items().into(), journal: Arc::new(journal), ended_at, ..begun }
}

/// A response that is over.
pub fn response(id: &str, previous: Option<&str>) -> StoredResponse {
    told_to(beginning(id, previous), &events(&["an ", "answer"]), Some(1_700_000_000))
}

pub fn new_run(number: u128, principal: &str, previous: Option<&str>) -> NewRun {
    NewRun {
        run: run(number),
        principal: principal.into(),
        response: beginning(&id(number), previous),
        request: format!("{{\"asked\":{number}}}"),
        key: None,
    }
}

pub fn lease(owner: &str, until: Millis) -> Lease {
    Lease { owner: owner.into(), until }
}

/// What goes with the last event of a run that goes on from `previous`.
pub fn ending(at: u64, previous: Option<&str>) -> Option<Ending> {
    Some(Ending { at, previous: previous.map(str::to_owned), ..Ending::default() })
}

pub fn batch(at: u64, told: &[Told], promise: Promise) -> Batch {
    Batch { at, told: told.to_vec(), promise, end: None }
}
