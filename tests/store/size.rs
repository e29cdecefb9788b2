//! What a conversation takes on the disk, and what each of its turns costs.

use crate::make::{ending, lease};
use nuncio::core::event::RunEvent;
use nuncio::core::id::RunId;
use nuncio::core::journal::Told;
use nuncio::core::ports::journals::{Batch, Begun, Journals, NewRun, Promise};
use nuncio::core::ports::store::Store;
use nuncio::core::ports::upstream::{FinishReason, UpstreamEvent};
use nuncio::core::run::{Agent, Effect, Input, Machine};
use nuncio::core::usage::Usage;
use nuncio::dialect::activity::ToolActivity;
use nuncio::dialect::responses::events::Numbering;
use nuncio::dialect::responses::fold::{EndTime, Head};
use nuncio::dialect::responses::history::History;
use nuncio::dialect::responses::record::Record;
use nuncio::dialect::responses::request;
use nuncio::store::sqlite::{Settings, SqliteStore};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

/// Text of a question and of an answer; together they are the raw content of a turn.
const QUESTION: usize = 500;
const ANSWER: usize = 524;

const TURNS: usize = 1000;

/// Turns at the begin and at the end whose costs are counted.
const WATCHED: usize = 50;

/// A turn as the daemon has it, from the request to the numbered events, and what of it is stored at its begin.
fn turn(previous: Option<&str>) -> (NewRun, Vec<Told>) {
    let run = RunId::new(Uuid::now_v7());
    let question = "question ".repeat(QUESTION / 9 + 1);
    let body = json!({"model": "nuncio", "input": question[..QUESTION], "previous_response_id": previous});
    let asked = request::parse(body.clone()).unwrap();
    let spec = asked.spec(&History::default()).unwrap();
    let settings = Arc::new(asked.settings.clone());
    let (id, model, activity, ended) =
        (run.answer("resp_"), "nuncio".into(), ToolActivity::Standard, EndTime::at(None));
    let head = Head { id, created_at: 1_790_000_000, model, settings, activity, view: asked.view, ended };
    let record = Record::new(run, head.clone(), asked.input);
    let new = NewRun { run, principal: "ann".into(), response: record.opening(), request: body.to_string(), key: None };
    let mut machine = Machine::new(run, Arc::new(Agent::default()), spec).unwrap();
    let words = "four and five ".repeat(ANSWER / 14 + 1);
    let words = words[..ANSWER].split_inclusive(' ').map(|word| UpstreamEvent::Text(word.to_owned()));
    let said = [UpstreamEvent::Opened].into_iter().chain(words).chain([
        UpstreamEvent::Usage(Usage { input: 1234, output: 123, ..Usage::default() }),
        UpstreamEvent::Finish(FinishReason::Stop),
    ]);
    let inputs = [Input::Submitted].into_iter().chain(said.map(Input::Upstream)).chain([Input::UpstreamClosed(Ok(()))]);
    let mut numbering = Numbering::new(head);
    let effects = inputs.flat_map(|input| machine.on(input));
    let events = effects.filter_map(|effect| match effect {
        Effect::Emit(event) => Some(event),
        _ => None,
    });
    (new, events.map(|event| Told { sequence: numbering.number(&event), event }).collect())
}

/// Has a turn written as a run is: its deltas a few at a time, and its end.
async fn write(store: &SqliteStore, previous: Option<&str>) -> String {
    let (new, told) = turn(previous);
    let (run, id) = (new.run, new.response.id.clone());
    let Begun::Begun(fence) = store.begin(new, lease("p", 1000)).await.unwrap() else { panic!("it has not begun") };
    let mut at = 0;
    for part in told.chunks(10) {
        let ends = part.iter().any(|told| matches!(told.event, RunEvent::Finished { .. }));
        let promise = if ends { Promise::Outcome } else { Promise::Process };
        let end = if ends { ending(1_790_000_009, previous) } else { None };
        let batch = Batch { at, told: part.to_vec(), promise, end };
        store.append(run, fence, batch).await.unwrap();
        at += part.len() as u64;
    }
    id
}

/// Pages in the write-ahead log, which is emptied.
fn pages(path: &Path) -> u64 {
    let db = rusqlite::Connection::open(path).unwrap();
    let log = fs::metadata(path.with_extension("db-wal")).unwrap().len();
    let size: u64 = db.pragma_query_value(None, "page_size", |row| row.get(0)).unwrap();
    let busy: bool = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    assert!(!busy);
    log / size
}

#[tokio::test]
async fn a_long_conversation_is_small_and_its_last_turn_costs_what_its_second_did() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nuncio.db");
    let store = SqliteStore::open(&Settings::at(&path)).unwrap();
    let (mut last, mut early, mut late) = (None, Vec::new(), Vec::new());
    for number in 1..=TURNS {
        last = Some(write(&store, last.as_deref()).await);
        if number <= WATCHED || number > TURNS - WATCHED {
            let costs = if number <= WATCHED { &mut early } else { &mut late };
            costs.push(pages(&path));
        } else if number == TURNS - WATCHED {
            pages(&path);
        }
    }
    assert_eq!(store.chain("ann", &last.unwrap()).await.unwrap().unwrap().len(), TURNS);
    drop(store);
    let (raw, stored) = ((TURNS * (QUESTION + ANSWER)) as u64, fs::metadata(&path).unwrap().len());
    println!("{:.2} bytes for each byte of text", stored as f64 / raw as f64);
    assert!(stored < 3 * raw, "{stored} bytes for {raw}");
    // The first turn of all is not counted. A page that is full becomes two, of which there is some more the more there
    // is; most turns meet none.
    let (early, late) = (&mut early[1..], &mut late[1..]);
    let sums = [&*early, &*late].map(|costs| costs.iter().sum::<u64>());
    assert!(sums[1] * 10 <= sums[0] * 11, "{early:?} {late:?}");
    early.sort_unstable();
    late.sort_unstable();
    assert_eq!(early[WATCHED / 2], late[WATCHED / 2]);
}
