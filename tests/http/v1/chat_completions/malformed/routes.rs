//! Wrong paths, methods, headers and sizes.

use super::{CHAT, Case};
use crate::raw::local;

const GOOD: &str = r#"{"model":"nuncio","messages":[{"role":"user","content":"Hello"}]}"#;

/// One byte more than `server.body_limit` allows as it comes.
const TOO_LARGE: usize = (20 << 20) + 1;

pub fn cases() -> Vec<Case> {
    let methods = [
        "GET /v1/chat/completions",
        "PUT /v1/chat/completions",
        "PATCH /v1/chat/completions",
        "DELETE /v1/chat/completions",
        "BREW /v1/chat/completions",
        "POST /v1/models",
        "DELETE /v1/models/nuncio",
        "POST /health",
        "POST /v1/health",
        "POST /health/detailed",
    ];
    let methods = methods.into_iter().map(|line| (line, 405, "method_not_allowed"));
    let paths = [
        "GET /",
        "GET /v1",
        "GET /favicon.ico",
        "POST /v1/completions",
        "POST /v1/chat/completions/",
        "POST //v1/chat/completions",
        "POST /V1/Chat/Completions",
        "POST /v1/../v1/chat/completions",
        "GET /v1/models/",
        "GET /v1/%6dodels",
        "POST /v1/chat/completions%00",
    ];
    let paths = paths.into_iter().map(|line| (line, 404, "unknown_url"));
    let lines = methods.chain(paths).map(|(line, status, code)| {
        Case::of(line, local(&format!("{line} HTTP/1.1\nContent-Type: application/json"), GOOD), status, Some(code))
    });
    lines.chain(models()).chain(headers()).chain(sizes()).collect()
}

fn models() -> Vec<Case> {
    let get = |name: &str, path: &str| {
        Case::of(name, local(&format!("GET {path} HTTP/1.1"), ""), 404, Some("model_not_found")).with_param("model")
    };
    vec![
        get("an unknown model", "/v1/models/gpt-4"),
        get("a model with an escaped NUL", "/v1/models/a%00b"),
        get("a model of 50,000 letters", &format!("/v1/models/{}", "m".repeat(50_000))),
        Case::of("a model that is no UTF-8", local("GET /v1/models/%FF HTTP/1.1", ""), 404, Some("model_not_found"))
            .with_param("model"),
        Case::of(
            "a path of 50,000 letters",
            local(&format!("GET /{} HTTP/1.1", "p".repeat(50_000)), ""),
            404,
            Some("unknown_url"),
        ),
    ]
}

fn headers() -> Vec<Case> {
    let types = [
        "",
        "Content-Type: text/plain",
        "Content-Type: text/json",
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Type: multipart/form-data; boundary=x",
        "Content-Type: application/jsonp",
        "Content-Type: application/json, text/plain",
        "Content-Type: text/plain; application/json",
    ];
    let types = types.into_iter().map(|header| {
        let name = if header.is_empty() { "no content type" } else { header };
        let head = format!("POST /v1/chat/completions HTTP/1.1\n{header}");
        Case::of(name, local(&head, GOOD), 415, Some("unsupported_media_type"))
    });
    let long = format!("Content-Type: {}", "t".repeat(50_000));
    let long = local(&format!("POST /v1/chat/completions HTTP/1.1\n{long}"), GOOD);
    let gzip = local(&format!("{CHAT}\nContent-Encoding: gzip"), [0x1f, 0x8b, 8, 0]);
    let sessions =
        ["X-Nuncio-Session", "X-Hermes-Session-Id", "X-OpenWebUI-Chat-Id", "Session-Id"].into_iter().map(|name| {
            let head = format!("{CHAT}\n{name}: {}", "s".repeat(257));
            Case::of(format!("a long {name}"), local(&head, GOOD), 400, None).with_param(&name.to_lowercase())
        });
    types
        .chain(sessions)
        .chain([
            Case::of("a content type of 50,000 letters", long, 415, Some("unsupported_media_type")),
            Case::of("a compressed body", gzip, 415, Some("unsupported_media_type")),
            Case::of("a session that is no ASCII", local(&format!("{CHAT}\nX-Session-Id: é"), GOOD), 400, None)
                .with_param("x-session-id"),
        ])
        .collect()
}

fn sizes() -> Vec<Case> {
    let announced = local(CHAT, vec![b' '; TOO_LARGE]);
    let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 1 << 20], b"\r\n"].concat();
    let chunks = [chunk.repeat(20), b"1\r\n}\r\n0\r\n\r\n".to_vec()].concat();
    let chunked = local(&format!("{CHAT}\nTransfer-Encoding: chunked"), chunks);
    let waiting = local(&format!("{CHAT}\nExpect: 100-continue\nContent-Length: {TOO_LARGE}"), "");
    [
        ("20 MiB and a byte", announced),
        ("20 MiB and a byte in chunks", chunked),
        ("asks before it sends 20 MiB", waiting),
    ]
    .into_iter()
    .map(|(name, request)| Case::of(name, request, 413, Some("body_too_large")))
    .collect()
}
