use super::*;
use FailureKind::*;
use serde_json::json;

fn failure(status: u16, body: &str) -> Failure {
    of_status("main", StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes(), &Secrets::default())
}

#[test]
fn each_server_s_refusal_is_told_apart() {
    let cases = [
        (
            400,
            r#"{"error":{"message":"bad temperature","type":"invalid_request_error","param":"temperature","code":null}}"#,
            Failure::new(InvalidRequest, "upstream `main` refused the request (400)")
                .saying("bad temperature")
                .with_param("temperature"),
        ),
        (
            422,
            r#"{"detail":[{"loc":["body","messages"],"msg":"field required"}]}"#,
            Failure::new(InvalidRequest, "upstream `main` refused the request (422)")
                .saying(r#"[{"loc":["body","messages"],"msg":"field required"}]"#),
        ),
        (
            401,
            r#"{"error":{"message":"Incorrect API key provided: sk-ab**yz.","code":"invalid_api_key"}}"#,
            Failure::new(UpstreamAuth, "upstream `main` refused its API key (401)"),
        ),
        (
            402,
            r#"{"error":{"message":"Insufficient credits","code":402}}"#,
            Failure::new(UpstreamAuth, "upstream `main` has no credit left (402)").saying("Insufficient credits"),
        ),
        (
            429,
            r#"{"error":{"message":"Quota exceeded","type":"insufficient_quota","code":"insufficient_quota"}}"#,
            Failure::new(UpstreamAuth, "upstream `main` has no credit left (429)").saying("Quota exceeded"),
        ),
        (403, "", Failure::new(UpstreamAuth, "upstream `main` forbids this (403)")),
        (
            404,
            r#"{"error":"model 'x' not found"}"#,
            Failure::new(UpstreamNotFound, "upstream `main` does not know the model or the path (404)")
                .saying("model 'x' not found"),
        ),
        (
            307,
            "<html>moved</html>",
            Failure::new(UpstreamNotFound, "upstream `main` redirects elsewhere: set base_url to where it leads (307)"),
        ),
        (408, "", Failure::new(UpstreamTimeout, "upstream `main` is unavailable (408)")),
        (413, "", Failure::new(InvalidRequest, "upstream `main` refused the request (413)")),
        (
            429,
            r#"{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"slow\n down"}}}"#,
            Failure::new(RateLimited, "upstream `main` is over its rate limit (429)")
                .saying("Provider returned error: slow down"),
        ),
        (500, "oh\u{0}no", Failure::new(UpstreamUnavailable, "upstream `main` is unavailable (500)").saying("oh no")),
        (503, "<!doctype html>", Failure::new(UpstreamUnavailable, "upstream `main` is unavailable (503)")),
        (504, "{}", Failure::new(UpstreamTimeout, "upstream `main` is unavailable (504)")),
    ];
    for (status, body, expected) in cases {
        assert_eq!(failure(status, body), expected, "{status} {body}");
    }
}

#[test]
fn a_conversation_too_long_is_known_by_code_or_words() {
    let bodies = [
        (400, json!({"error": {"message": "too long", "code": "context_length_exceeded"}})),
        (
            400,
            json!({"object": "error", "message": "This model's maximum context length is 4096 tokens.", "code": 400}),
        ),
        (400, json!({"error": {"code": 400, "message": "x", "type": "exceed_context_size_error", "n_ctx": 4096}})),
        (500, json!({"error": {"message": "the request exceeds the available context size"}})),
        (400, json!({"error": "the input length exceeds the context length"})),
        (413, json!({"error": {"message": "Prompt is too long: 9 tokens"}})),
        (400, json!({"error": {"message": "input length and `max_tokens` exceed context limit: 9 + 8 > 10"}})),
        (400, json!({"message": "Input is too long for requested model."})),
        (400, json!({"error": {"message": "Please reduce the length of the messages or completion."}})),
        (400, json!({"error": "This model's maximum prompt length is 131072 but the request contains 537812 tokens."})),
        (400, json!({"message": "Prompt contains 9 tokens, too large for model with 8 maximum context length"})),
        (400, json!({"error": {"message": "Your request exceeded model token limit: 8 (requested: 9)"}})),
        (400, json!({"message": "The input (9 tokens) is longer than the model's context length (8 tokens)."})),
        (400, json!({"error": {"message": "invalid params, context window exceeds limit"}})),
    ];
    for (status, body) in bodies {
        assert_eq!(failure(status, &body.to_string()).kind, ContextLength, "{body}");
    }
}

#[test]
fn the_numbers_of_an_overflow_are_read_from_fields_and_words_and_from_nothing_else() {
    let llama = json!({"error": {"code": 400, "type": "exceed_context_size_error", "n_ctx": 4096, "n_prompt_tokens": 5000,
        "message": "the request exceeds the available context size, try increasing it"}});
    let openai = json!({"error": {"code": "context_length_exceeded", "message": "This model's maximum context length is \
        8192 tokens. However, your messages resulted in 9000 tokens."}});
    let other = json!({"error": {"message": "`max_tokens` must be <= 4096", "n_ctx": 4096}});
    let found = [llama, openai, other].map(|body| failure(400, &body.to_string()).overflow.map(|overflow| *overflow));
    let overflow = |window, tokens| Some(Overflow { window: Some(window), tokens: Some(tokens) });
    assert_eq!(found, [overflow(4096, 5000), overflow(8192, 9000), None]);
}

#[test]
fn an_error_in_mid_stream_is_mapped_by_what_it_says_of_itself() {
    let cases = [
        (json!({"code": 502, "message": "Provider disconnected"}), UpstreamUnavailable),
        (json!({"code": "429", "message": "slow down"}), RateLimited),
        (json!({"type": "rate_limit_error", "message": "slow down"}), RateLimited),
        (json!({"type": "server_error", "code": "server_error", "message": "oops"}), UpstreamUnavailable),
        (json!({"type": "invalid_request_error", "code": "context_length_exceeded", "message": "long"}), ContextLength),
        (json!({"type": "invalid_request_error", "code": null, "message": "bad"}), InvalidRequest),
        (json!({"code": 200, "message": "strange"}), UpstreamBroken),
        (json!("kaputt"), UpstreamBroken),
    ];
    for (error, kind) in cases {
        assert_eq!(of_object("main", &error, &Secrets::default()).kind, kind, "{error}");
    }
    let expected = Failure::new(UpstreamBroken, "upstream `main` gave up").saying("kaputt");
    assert_eq!(of_object("main", &json!("kaputt"), &Secrets::default()), expected);
}

#[test]
fn retry_after_is_read_as_seconds_or_date() {
    let seconds = |value: &str| {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
        of_status("main", StatusCode::TOO_MANY_REQUESTS, &headers, b"", &Secrets::default()).retry_after
    };
    assert_eq!(seconds("7"), Some(7));
    assert_eq!(seconds("0.2"), Some(1));
    assert_eq!(seconds("soon"), None);
    assert_eq!(seconds("-1"), None);
    assert_eq!(seconds("NaN"), None);
    assert_eq!(seconds("inf"), None);
    assert_eq!(seconds("1e300"), Some(86_400));
    assert_eq!(seconds("Thu, 01 Jan 2099 00:00:00 GMT"), Some(86_400));
    assert_eq!(seconds("Thu, 01 Jan 2015 00:00:00 GMT"), Some(0));
    let later = SystemTime::now() + std::time::Duration::from_secs(100);
    assert!((90..=101).contains(&seconds(&httpdate::fmt_http_date(later)).unwrap()));
}

#[test]
fn a_long_text_is_cut() {
    let said = failure(500, &"ü ".repeat(1000)).said.unwrap();
    assert!(said.ends_with('…') && said.chars().count() < 600, "{said}");
}
