//! The stored responses of one principal, bounded by their number and their bytes, least recently used first out.

use super::weight::weight_of;
use crate::core::item::{Item, Origin, Status};
use crate::core::ports::store::{Chain, Found, ItemKey, StoredResponse};
use lru::LruCache;
use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

pub struct Responses {
    entries: LruCache<String, Arc<StoredResponse>>,
    /// Which responses hold an item, the newest last: clients send items again, with their ids.
    holders: HashMap<ItemKey, Vec<Arc<StoredResponse>>>,
    bytes: usize,
    max_bytes: usize,
}

const MAX_RESPONSES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);
const MAX_BYTES: usize = 64 << 20;

impl Default for Responses {
    fn default() -> Self {
        Self::bounded(MAX_RESPONSES, MAX_BYTES)
    }
}

impl Responses {
    fn bounded(max: NonZeroUsize, max_bytes: usize) -> Self {
        Self { entries: LruCache::new(max), holders: HashMap::new(), bytes: 0, max_bytes }
    }

    pub fn get(&mut self, id: &str) -> Option<Arc<StoredResponse>> {
        self.entries.get(id).cloned()
    }

    /// From the first response to this one. The first is touched last: what others stand on should go after them.
    pub fn chain(&mut self, id: &str) -> Option<Chain> {
        let mut chain = vec![self.get(id)?];
        // A response goes on from one that was there before it, so there is no circle; the bound is for a broken rule.
        while let Some(previous) = chain.last().and_then(|last| last.previous.clone()) {
            if chain.len() > self.entries.len() {
                return None;
            }
            chain.push(self.get(&previous)?);
        }
        chain.reverse();
        Some(chain)
    }

    /// What a key stands for.
    pub fn items(&mut self, key: &ItemKey) -> Found {
        let holder = self.holders.get(key)?.last()?;
        self.entries.get(&holder.id);
        let items = holder.input.iter().chain(holder.output.iter());
        Some(match key {
            ItemKey::Id(id) => items.filter(|item| item.id() == id).take(1).cloned().collect(),
            ItemKey::Call(call_id) => whole_call(items.filter(|item| is_of_call(item, call_id)).cloned().collect()),
        })
    }

    pub fn put(&mut self, response: StoredResponse) {
        let (id, response) = (response.id.clone(), Arc::new(response));
        self.bytes = self.bytes.saturating_add(weight(&response));
        for key in keys_of(&response) {
            self.holders.entry(key).or_default().push(Arc::clone(&response));
        }
        if let Some((_, old)) = self.entries.push(id.clone(), response) {
            self.forget(&old);
        }
        self.chain(&id);
        while self.bytes > self.max_bytes {
            let Some((_, old)) = self.entries.pop_lru() else { break };
            self.forget(&old);
        }
    }

    pub fn delete(&mut self, id: &str) -> bool {
        let old = self.entries.pop(id);
        old.iter().for_each(|old| self.forget(old));
        old.is_some()
    }

    /// Takes a response that is no longer among the entries off the books.
    fn forget(&mut self, old: &Arc<StoredResponse>) {
        self.bytes = self.bytes.saturating_sub(weight(old));
        for key in keys_of(old) {
            let Some(holders) = self.holders.get_mut(&key) else { continue };
            holders.retain(|holder| !Arc::ptr_eq(holder, old));
            if holders.is_empty() {
                self.holders.remove(&key);
            }
        }
    }
}

/// The keys of a response's items, each once.
fn keys_of(response: &StoredResponse) -> HashSet<ItemKey> {
    let items = || response.input.iter().chain(response.output.iter());
    let ids = items().map(|item| item.id()).filter(|id| !id.is_empty()).map(|id| ItemKey::Id(id.to_owned()));
    let calls = items().filter_map(|item| match item.as_ref() {
        Item::ToolCall(call) if call.origin == Origin::Server => Some(ItemKey::Call(call.call_id.clone())),
        _ => None,
    });
    ids.chain(calls).collect()
}

fn is_of_call(item: &Item, call_id: &str) -> bool {
    match item {
        Item::ToolCall(call) => call.call_id == call_id && call.status == Status::Completed,
        Item::ToolOutput(output) => output.call_id == call_id,
        _ => false,
    }
}

/// Nothing, if the call or its output is missing.
fn whole_call(items: Vec<Arc<Item>>) -> Vec<Arc<Item>> {
    match items.as_slice() {
        [call, output] if matches!((call.as_ref(), output.as_ref()), (Item::ToolCall(_), Item::ToolOutput(_))) => items,
        _ => Vec::new(),
    }
}

fn weight(response: &StoredResponse) -> usize {
    let instructions = response.instructions.as_ref().map_or(0, String::len);
    [response.resource.len(), weight_of(&response.input), weight_of(&response.output), instructions]
        .into_iter()
        .fold(256, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::item::{Message, Part, Reasoning, Role, ToolCall, ToolOutput};
    use crate::core::logprob::{Likely, Logprob};
    use crate::core::sealed::Sealed;
    use serde_json::Map;

    fn response(id: &str, previous: Option<&str>) -> StoredResponse {
        let (input, output) = ([].into(), [].into());
        let (id, previous) = (id.to_owned(), previous.map(str::to_owned));
        StoredResponse { id, previous, instructions: None, input, output, resource: "x".repeat(100) }
    }

    fn ids(chain: Option<Chain>) -> Option<Vec<String>> {
        chain.map(|chain| chain.iter().map(|response| response.id.clone()).collect())
    }

    #[test]
    fn a_chain_begins_with_its_first_response() {
        let mut store = Responses::default();
        for (id, previous) in [("a", None), ("b", Some("a")), ("c", Some("b")), ("fork", Some("a"))] {
            store.put(response(id, previous));
        }
        assert_eq!(ids(store.chain("c")), Some(vec!["a".into(), "b".into(), "c".into()]));
        assert_eq!(ids(store.chain("fork")), Some(vec!["a".into(), "fork".into()]));
        assert!(store.delete("a") && !store.delete("a"));
        assert_eq!(ids(store.chain("c")), None, "a chain with a hole");
    }

    #[test]
    fn bytes_and_number_are_bounded_and_what_others_stand_on_goes_last() {
        let weight = weight(&response("a", None));
        for mut store in [
            Responses::bounded(NonZeroUsize::new(3).unwrap(), usize::MAX),
            Responses::bounded(MAX_RESPONSES, weight * 3),
        ] {
            for (id, previous) in [("a", None), ("lone", None), ("b", Some("a")), ("c", Some("b"))] {
                store.put(response(id, previous));
            }
            assert_eq!(store.get("lone"), None);
            assert_eq!(ids(store.chain("c")), Some(vec!["a".into(), "b".into(), "c".into()]));
            assert_eq!(store.bytes, weight * 3);
            assert!(store.delete("c"));
            assert_eq!(store.bytes, weight * 2);
        }
    }

    fn message(id: &str) -> Arc<Item> {
        Arc::new(Item::Message(Message { id: id.into(), ..Message::of(Role::User, id) }))
    }

    fn call(call_id: &str, status: Status) -> [Arc<Item>; 2] {
        let (call_id, id) = (call_id.to_owned(), format!("fc_{call_id}"));
        let (name, arguments, origin) = ("look".to_owned(), "{}".to_owned(), Origin::Server);
        let (content, extra) = (vec![Part::text("seen")], Map::new());
        let output =
            ToolOutput { id: format!("fco_{call_id}"), call_id: call_id.clone(), content, failed: false, extra };
        let call = ToolCall { id, call_id, name, arguments, origin, status, extra: Map::new() };
        [Item::ToolCall(call), Item::ToolOutput(output)].map(Arc::new)
    }

    fn with(id: &str, input: &[Arc<Item>], output: &[Arc<Item>]) -> StoredResponse {
        StoredResponse { input: input.into(), output: output.into(), ..response(id, None) }
    }

    #[test]
    fn items_are_found_by_the_ids_that_clients_were_shown() {
        let mut store = Responses::default();
        let (whole, cut) = (call("abc", Status::Completed), call("cut", Status::Incomplete));
        let output = [&whole[..], &cut[..1], &[message("said")]].concat();
        store.put(with("a", &[message("asked"), message("")], &output));
        let id = |id: &str| ItemKey::Id(id.into());
        let of_call = |call: &str| ItemKey::Call(call.into());
        assert_eq!(store.items(&id("asked")), Some(vec![message("asked")]));
        assert_eq!(store.items(&id("said")), Some(vec![message("said")]));
        assert_eq!(store.items(&id("fco_abc")), Some(vec![Arc::clone(&whole[1])]));
        assert_eq!(store.items(&of_call("abc")), Some(whole.to_vec()));
        assert_eq!(store.items(&of_call("cut")), Some(vec![]));
        for nothing in [id(""), id("abc"), of_call("said")] {
            assert_eq!(store.items(&nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn items_go_with_the_last_response_that_holds_them() {
        let mut store = Responses::bounded(NonZeroUsize::new(2).unwrap(), usize::MAX);
        let held = |store: &mut Responses| ["x", "y"].map(|id| store.items(&ItemKey::Id(id.into())).is_some());
        store.put(with("a", &[message("x"), message("x")], &[message("y")]));
        store.put(with("b", &[message("x")], &[]));
        assert!(store.delete("a"));
        assert_eq!(held(&mut store), [true, false]);
        // Another of the same id takes the place of the first.
        store.put(with("b", &[message("y")], &[]));
        assert_eq!(held(&mut store), [false, true]);
        store.put(with("c", &[], &[]));
        store.put(with("d", &[], &[]));
        assert_eq!(held(&mut store), [false, false], "pushed out");
        assert!(store.holders.is_empty(), "{:?}", store.holders.keys());
    }

    #[test]
    fn an_item_that_is_asked_for_keeps_its_response_alive() {
        let mut store = Responses::bounded(NonZeroUsize::new(2).unwrap(), usize::MAX);
        store.put(with("a", &[message("x")], &[]));
        store.put(with("b", &[], &[]));
        store.items(&ItemKey::Id("x".into()));
        store.put(with("c", &[], &[]));
        assert_eq!([store.get("a").is_some(), store.get("b").is_some()], [true, false]);
    }

    #[test]
    fn all_that_is_large_counts() {
        let large = "x".repeat(1000);
        let parts = [
            Part::text(large.as_str()),
            Part::Image { url: large.clone(), detail: None },
            Part::File { name: None, data: large.clone() },
            Part::Opaque { value: large.as_str().into() },
            Part::Text { text: String::new(), logprobs: vec![likely(&large)] },
        ];
        let said = |part: Part| Item::Message(Message { content: vec![part], ..Message::of(Role::User, "") });
        let block = Map::from_iter([("data".to_owned(), large.as_str().into())]);
        let sealed = Some(Sealed { maker: String::new(), blocks: vec![block] });
        let thought = Item::Reasoning(Reasoning { sealed, ..Reasoning::blank(String::new(), Status::Completed) });
        for item in parts.into_iter().map(said).chain([thought]) {
            let (item, empty) = ([Arc::new(item)], weight(&response("a", None)));
            assert!(weight(&with("a", &item, &[])) >= empty + 1000, "{item:?}");
        }
    }

    fn likely(token: &str) -> Logprob {
        let token = Likely { token: token.into(), logprob: 0.0, bytes: Vec::new() };
        Logprob { token, top_logprobs: Vec::new() }
    }
}
