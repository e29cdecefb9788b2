//! What the upstream says, steered by the last message: `bench: chunks=20 delay_ms=0 tool=0`.

use bytes::Bytes;
use memchr::memmem;
use std::time::Duration;

/// Begins what a message says to the upstream.
pub const WORD: &str = "bench:";

/// What each piece of text is made of, to know the first one by.
pub const TOKEN: &str = "lorem";

/// The call of a step, of a tool that does nothing.
const CALL: &str = r#"{"name":"todo","arguments":"{\"steps\":[]}"}"#;

/// How an answer is to be.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    pub chunks: usize,
    pub delay: Duration,
    /// A tool is called first.
    pub tool: bool,
}

impl Answer {
    /// Of 22 events: a role, 20 tokens, an end.
    pub const USUAL: Self = Self { chunks: 20, delay: Duration::ZERO, tool: false };

    /// The message that asks for it.
    pub fn message(&self) -> String {
        let Self { chunks, delay, tool } = self;
        format!("{WORD} chunks={chunks} delay_ms={} tool={}", delay.as_millis(), u8::from(*tool))
    }

    /// What the last message of a request asks for.
    pub fn asked(body: &[u8]) -> Self {
        let at = memmem::find_iter(body, WORD).last();
        let text = at.and_then(|at| body.get(at..)).map(String::from_utf8_lossy).unwrap_or_default();
        let number = |name: &str| {
            let rest = text.split_once(name).map_or("", |(_, rest)| rest);
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest.get(..digits).and_then(|digits| digits.parse::<u64>().ok())
        };
        // A call is answered after the last message.
        let called = text.contains("\"role\":\"tool\"");
        Self {
            chunks: number("chunks=").unwrap_or(20) as usize,
            delay: Duration::from_millis(number("delay_ms=").unwrap_or(0)),
            tool: number("tool=") == Some(1) && !called,
        }
    }

    /// The events of a stream.
    pub fn events(&self) -> Vec<Bytes> {
        if self.tool {
            let call = format!(r#"{{"tool_calls":[{{"index":0,"id":"call_1","type":"function","function":{CALL}}}]}}"#);
            return [chunk(&call, "null"), chunk("{}", r#""tool_calls""#), usage(1), Bytes::from_static(DONE)].into();
        }
        let role = chunk(r#"{"role":"assistant","content":""}"#, "null");
        let token = chunk(&format!(r#"{{"content":"{TOKEN} "}}"#), "null");
        let tokens = std::iter::repeat_n(token, self.chunks);
        let ends = [chunk("{}", r#""stop""#), usage(self.chunks), Bytes::from_static(DONE)];
        [role].into_iter().chain(tokens).chain(ends).collect()
    }

    /// The same in one piece.
    pub fn object(&self) -> Bytes {
        let text = format!("{TOKEN} ").repeat(self.chunks);
        let tokens = self.chunks;
        format!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":9,"completion_tokens":{tokens},"total_tokens":{}}}}}"#,
            tokens + 9
        )
        .into()
    }
}

const DONE: &[u8] = b"data: [DONE]\n\n";

fn chunk(delta: &str, finish: &str) -> Bytes {
    format!(
        "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
    )
    .into()
}

fn usage(tokens: usize) -> Bytes {
    format!(
        "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[],\"usage\":{{\"prompt_tokens\":9,\"completion_tokens\":{tokens},\"total_tokens\":{}}}}}\n\n",
        tokens + 9
    )
    .into()
}
