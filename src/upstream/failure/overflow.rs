//! The numbers in a refusal for length: each server has its own words around them.

use crate::core::failure::Overflow;

/// A window smaller or larger than these is a number of something else, such as tokens in a minute.
const PLAUSIBLE: std::ops::RangeInclusive<u64> = 256..=100_000_000;

/// What stands right before the size of the window.
const BEFORE_WINDOW: [&str; 12] = [
    "context length is",       // OpenAI, vLLM, OpenRouter
    "context length is only",  // vLLM
    "context length of",       // SGLang
    "context length",          // SGLang
    "context length (n_ctx",   // LM Studio
    "maximum model length of", // vLLM
    "available context size",  // llama.cpp
    "tokens >",                // Anthropic
    "tokens allowed",          // Gemini
    "prompt length is",        // xAI
    "model token limit",       // Moonshot
    "must be <=",              // TGI
];

/// What stands right before the length of the conversation.
const BEFORE_TOKENS: [&str; 8] = [
    "messages resulted in", // OpenAI
    "request contains",     // xAI
    "prompt contains",      // Mistral
    "prompt (length",       // vLLM
    "request (",            // llama.cpp
    "the input (",          // SGLang
    "prompt is too long",   // Anthropic
    "input token count",    // Gemini
];

/// What stands right after it.
const AFTER_TOKENS: [&str; 5] = [
    " in the messages",                // OpenAI, vLLM
    " of text input",                  // OpenRouter
    " tokens from the input messages", // SGLang
    " `inputs` tokens",                // TGI
    " input tokens",                   // vLLM
];

/// Reads what is not `given` out of a message.
pub fn read(given: Overflow, message: &str) -> Option<Overflow> {
    let text = message.to_lowercase();
    let (sum_tokens, sum_window) = sum(&text).unzip();
    let window = given.window.or(sum_window);
    let window = window.or_else(|| BEFORE_WINDOW.iter().find_map(|words| number_after(&text, words)));
    let window = window.or_else(|| number_before(&text, " maximum context length")); // Mistral
    let tokens = given.tokens.or(sum_tokens);
    let tokens = tokens.or_else(|| AFTER_TOKENS.iter().find_map(|words| number_before(&text, words)));
    let tokens = tokens.or_else(|| BEFORE_TOKENS.iter().find_map(|words| number_after(&text, words)));
    let overflow = Overflow { window: window.filter(|window| PLAUSIBLE.contains(window)), tokens };
    (overflow != Overflow::default()).then_some(overflow)
}

/// The conversation and the window in `exceed context limit: 188240 + 21333 > 200000`.
fn sum(text: &str) -> Option<(u64, u64)> {
    let (_, sum) = text.split_once("exceed context limit:")?;
    let (tokens, rest) = sum.split_once('+')?;
    Some((leading_number(tokens)?, leading_number(rest.split_once('>')?.1)?))
}

fn number_after(text: &str, words: &str) -> Option<u64> {
    text.match_indices(words).find_map(|(at, words)| leading_number(text.get(at..)?.get(words.len()..)?))
}

fn number_before(text: &str, words: &str) -> Option<u64> {
    let before = |(at, _): (usize, &str)| {
        let text = text.get(..at)?;
        let start = text.trim_end_matches(|c: char| c.is_ascii_digit() || c == ',').len();
        leading_number(text.get(start..)?)
    };
    text.match_indices(words).find_map(before)
}

/// A number at the beginning, perhaps after a colon or in brackets. `131,072` is one number.
fn leading_number(text: &str) -> Option<u64> {
    let text = text.trim_start_matches([' ', ':', '(']);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(text.len());
    text.get(..end)?.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_s_numbers_are_found() {
        let cases = [
            (
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens. Please reduce the length of the messages.",
                Some(8192),
                Some(9000),
            ),
            (
                "This model's maximum context length is 16384 tokens. However, you requested 122946 tokens (112946 in the messages, 10000 in the completion). Please reduce the length of the messages or completion.",
                Some(16384),
                Some(112_946),
            ),
            (
                "This model's maximum context length is 2048 tokens. However, your request has 8000 input tokens plus 2045 'max_tokens'. Please reduce one or the other.",
                Some(2048),
                Some(8000),
            ),
            (
                "this model's maximum context length is 32768 tokens, but the prompt contains 40000 input tokens",
                Some(32768),
                Some(40000),
            ),
            (
                "This model's maximum context length is 4096 tokens. However, you requested 512 output tokens and your prompt contains at least 4000 input tokens, for a total of at least 4512 tokens.",
                Some(4096),
                Some(4000),
            ),
            (
                "The decoder prompt (length 10896) is longer than the maximum model length of 8192. Make sure that `max_model_len` is no smaller.",
                Some(8192),
                Some(10896),
            ),
            (
                "This endpoint's maximum context length is 131072 tokens. However, you requested about 150211 tokens (148000 of text input, 2211 in the output). Please reduce the length of either one.",
                Some(131_072),
                Some(148_000),
            ),
            ("prompt is too long: 210000 tokens > 200000 maximum", Some(200_000), Some(210_000)),
            (
                "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length or `max_tokens` and try again",
                Some(200_000),
                Some(188_240),
            ),
            (
                "request (36350 tokens) exceeds the available context size (32768 tokens), try increasing it",
                Some(32768),
                Some(36350),
            ),
            ("the request exceeds the available context size. try increasing the context size", None, None),
            (
                "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).",
                Some(1_048_575),
                Some(1_196_265),
            ),
            ("The input token count exceeds the maximum number of tokens allowed 1048576.", Some(1_048_576), None),
            (
                "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
                Some(131_072),
                Some(537_812),
            ),
            (
                "Prompt contains 300000 tokens, too large for model with 131,072 maximum context length",
                Some(131_072),
                Some(300_000),
            ),
            ("Your request exceeded model token limit: 262144 (requested: 300000)", Some(262_144), None),
            (
                "Requested token count exceeds the model's maximum context length of 131072 tokens. You requested a total of 131200 tokens: 123616 tokens from the input messages and 7584 tokens for the completion.",
                Some(131_072),
                Some(123_616),
            ),
            (
                "The input (66000 tokens) is longer than the model's context length (65536 tokens).",
                Some(65536),
                Some(66000),
            ),
            (
                "`inputs` tokens + `max_new_tokens` must be <= 4097. Given: 5000 `inputs` tokens and 200 `max_new_tokens`",
                Some(4097),
                Some(5000),
            ),
            (
                "The number of tokens to keep from the initial prompt is greater than the context length (n_ctx: 8192)",
                Some(8192),
                None,
            ),
            ("prompt too long; exceeded max context length by 4096 tokens", None, None),
            ("Your input exceeds the context window of this model.", None, None),
            ("maximum context length is 9 tokens", None, None),
        ];
        for (message, window, tokens) in cases {
            let found = read(Overflow::default(), message).unwrap_or_default();
            assert_eq!((found.window, found.tokens), (window, tokens), "{message}");
        }
    }
}
