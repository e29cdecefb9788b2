//! Whatever is told comes back as it was told.

use super::*;
use crate::core::event::Outcome;
use crate::core::item::{Message, Role, Status, ToolCall, ToolOutput};
use proptest::prelude::*;
use serde_json::Map;

fn item(kind: u32, status: Status) -> Item {
    let (id, call_id, extra) = ("x_1".to_owned(), "c1".to_owned(), Map::new());
    match kind {
        0 => Item::Message(Message { status, content: Vec::new(), ..Message::of(Role::Assistant, "") }),
        1 => Item::ToolCall(ToolCall {
            id,
            call_id,
            name: "look".into(),
            arguments: String::new(),
            origin: crate::core::item::Origin::Server,
            home: None,
            status,
            extra,
        }),
        _ => Item::ToolOutput(ToolOutput { id, call_id, content: Vec::new(), failed: false, extra }),
    }
}

fn event() -> impl Strategy<Value = RunEvent> {
    let delta = (0..2u32, prop::sample::select(vec!["", "a", "é\n"]), 0..4).prop_map(|(index, text, kind)| {
        let text = text.to_owned();
        let delta = match kind {
            0 => Delta::Text(text),
            1 => Delta::Refusal(text),
            2 => Delta::Progress(text),
            _ => Delta::Arguments(text),
        };
        RunEvent::Delta { index, delta }
    });
    let started = (0..2u32, 0..3u32)
        .prop_map(|(index, kind)| RunEvent::ItemStarted { index, item: item(kind, Status::InProgress).into() });
    let done = (0..2u32, 0..3u32, prop::sample::select(vec!["", "a"])).prop_map(|(index, kind, text)| {
        let mut item = item(kind, Status::Completed);
        Delta::Text(text.into()).add_to(&mut item);
        Delta::Arguments(text.into()).add_to(&mut item);
        RunEvent::ItemDone { index, item: item.into() }
    });
    prop_oneof![
        6 => delta,
        3 => started,
        3 => done,
        1 => Just(RunEvent::Started),
        1 => Just(RunEvent::Finished { outcome: Outcome::Cancelled }),
    ]
}

/// Events with numbers that sometimes jump, as those of a stream do.
fn told() -> impl Strategy<Value = Vec<Told>> {
    prop::collection::vec((event(), prop::sample::select(vec![1, 1, 1, 3])), 0..40).prop_map(|events| {
        let mut sequence = 0;
        let number = |(event, step)| {
            sequence += step;
            Told { sequence, event }
        };
        events.into_iter().map(number).collect()
    })
}

proptest! {
    #[test]
    fn every_reader_gets_every_event_once_and_in_order(events in told(), late in 0..40usize) {
        let (mut journal, mut read, mut cursor) = (Journal::default(), Vec::new(), Cursor::default());
        for (at, told) in events.iter().enumerate() {
            journal.push(told.clone());
            if at >= late {
                read.extend(std::iter::from_fn(|| journal.next(&mut cursor)));
            }
        }
        read.extend(std::iter::from_fn(|| journal.next(&mut cursor)));
        prop_assert_eq!(&read, &events);
        prop_assert_eq!(&journal.told().collect::<Vec<_>>(), &events);
        prop_assert_eq!((cursor.at, journal.len()), (events.len() as u64, events.len() as u64));
    }

    /// In one piece or in two, as a run that is written while it goes on.
    #[test]
    fn a_packed_journal_is_the_same_journal(events in told(), cut in any::<prop::sample::Index>()) {
        let mut journal = Journal::default();
        events.iter().for_each(|told| journal.push(told.clone()));
        prop_assert_eq!(&Journal::unpack(&journal.pack()).unwrap(), &journal);
        let (first, second) = events.split_at(cut.index(events.len() + 1));
        let pieces = [first, second].map(|piece| {
            let mut journal = Journal::default();
            piece.iter().for_each(|told| journal.push(told.clone()));
            journal.pack()
        });
        let mut joined = Journal::default();
        pieces.iter().for_each(|piece| joined.extend(&Journal::unpack(piece).unwrap()));
        prop_assert_eq!(joined, journal);
    }
}

#[test]
fn a_long_text_is_written_once() {
    let mut journal = Journal::default();
    let mut grown = item(0, Status::Completed);
    let mut push = |sequence, event| journal.push(Told { sequence, event });
    push(2, RunEvent::ItemStarted { index: 0, item: item(0, Status::InProgress).into() });
    for sequence in 3..203 {
        let delta = Delta::Text("word ".into());
        delta.add_to(&mut grown);
        push(sequence, RunEvent::Delta { index: 0, delta });
    }
    push(203, RunEvent::ItemDone { index: 0, item: grown.into() });
    let packed = journal.pack();
    assert!(packed.len() < 1000 + 2 * 200 + 400, "{}: {packed}", packed.len());
    assert!(Journal::unpack("[{\"n\":1,\"d\":0,\"s\":\"completed\"}]").is_err());
    assert!(Journal::unpack("[{\"n\":1,\"i\":0,\"k\":\"t\",\"t\":\"é\",\"l\":[1]}]").is_err());
}
