//! Reasoning in the form in which the model's maker wants it back: signed or encrypted, and no business of ours.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What one model has sealed, in blocks, as OpenRouter streams them in `reasoning_details`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sealed {
    /// Names the model on its server. Nobody else can read the blocks, and some refuse a request that holds strange ones.
    pub maker: String,
    /// In the order in which they came, which must not change.
    pub blocks: Vec<Block>,
}

pub type Block = Map<String, Value>;

impl Sealed {
    /// Adds a block, or a piece of one. Pieces must become one block again, because a signature holds for the whole text.
    pub fn add(&mut self, piece: &Block) {
        match self.blocks.iter_mut().rev().find(|block| goes_on(block, piece)) {
            Some(block) => join(block, piece),
            None => self.blocks.push(piece.clone()),
        }
    }

    /// Adds what another item of the same step holds.
    pub fn extend(&mut self, other: &Self) {
        other.blocks.iter().for_each(|block| self.add(block));
    }
}

/// Whether a piece belongs to this block: it has the same number and kind, and the block is not whole yet. Pieces of
/// different kinds may have the same number, and blocks that are not streamed may have none.
fn goes_on(block: &Block, piece: &Block) -> bool {
    let same = |key: &str| get(block, key) == get(piece, key);
    let other_id = get(block, "id").zip(get(piece, "id")).is_some_and(|(one, other)| one != other);
    let is_whole = get(block, "data").is_some() || get(block, "signature").is_some();
    same("type") && same("index") && !other_id && !is_whole
}

fn join(block: &mut Block, piece: &Block) {
    for (key, value) in piece.iter().filter(|(_, value)| !value.is_null()) {
        match (block.get_mut(key), value) {
            (Some(Value::String(text)), Value::String(more)) if key == "text" || key == "summary" => {
                text.push_str(more);
            }
            _ => drop(block.insert(key.clone(), value.clone())),
        }
    }
}

/// A key that is there and not null.
fn get<'a>(block: &'a Block, key: &str) -> Option<&'a Value> {
    block.get(key).filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case::a_signature_comes_last(
        json!([{"type": "reasoning.text", "text": "Let", "signature": null, "index": 0}, {"type": "reasoning.text", "text": " me.", "index": 0},
            {"type": "reasoning.text", "signature": "S", "format": "f", "index": 0}]),
        json!([{"type": "reasoning.text", "text": "Let me.", "signature": "S", "index": 0, "format": "f"}])
    )]
    #[case::what_follows_a_signature_is_another_block(
        json!([{"type": "reasoning.text", "text": "a"}, {"type": "reasoning.text", "signature": "S"}, {"type": "reasoning.text", "text": "b"}]),
        json!([{"type": "reasoning.text", "text": "a", "signature": "S"}, {"type": "reasoning.text", "text": "b"}])
    )]
    #[case::kinds_share_a_number(
        json!([{"type": "reasoning.summary", "summary": "So", "index": 0}, {"type": "reasoning.summary", "summary": " on", "index": 0},
            {"type": "reasoning.encrypted", "data": "AA", "id": "rs", "index": 0}]),
        json!([{"type": "reasoning.summary", "summary": "So on", "index": 0}, {"type": "reasoning.encrypted", "data": "AA", "id": "rs", "index": 0}])
    )]
    #[case::encrypted_blocks_come_whole(
        json!([{"type": "reasoning.encrypted", "data": "AA", "index": 0}, {"type": "reasoning.encrypted", "data": "BB", "index": 0}]),
        json!([{"type": "reasoning.encrypted", "data": "AA", "index": 0}, {"type": "reasoning.encrypted", "data": "BB", "index": 0}])
    )]
    #[case::blocks_side_by_side(
        json!([{"type": "reasoning.text", "text": "a", "index": 0}, {"type": "reasoning.text", "text": "b", "index": 1}, {"type": "reasoning.text", "text": "c", "index": 0}]),
        json!([{"type": "reasoning.text", "text": "ac", "index": 0}, {"type": "reasoning.text", "text": "b", "index": 1}])
    )]
    #[case::an_id_tells_apart(
        json!([{"type": "reasoning.text", "text": "a", "id": "x"}, {"type": "reasoning.text", "text": "b", "id": "y"}, {"type": "reasoning.text", "text": "c", "id": null}]),
        json!([{"type": "reasoning.text", "text": "a", "id": "x"}, {"type": "reasoning.text", "text": "bc", "id": "y"}])
    )]
    fn pieces_become_whole_blocks(#[case] pieces: Value, #[case] blocks: Value) {
        let pieces: Vec<Block> = serde_json::from_value(pieces).unwrap();
        // The same whether they came in one item or were spread over several.
        for apart in [false, true] {
            let mut sealed = Sealed { maker: "m".into(), blocks: Vec::new() };
            for piece in &pieces {
                match apart {
                    true => sealed.extend(&Sealed { maker: "m".into(), blocks: vec![piece.clone()] }),
                    false => sealed.add(piece),
                }
            }
            assert_eq!(serde_json::to_value(sealed.blocks).unwrap(), blocks);
        }
    }
}
