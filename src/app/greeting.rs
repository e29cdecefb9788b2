//! What the daemon prints when it is up: what it serves, who answers, and a line to try.

use crate::config::Loaded;
use std::net::SocketAddr;

pub fn print(loaded: &Loaded, address: SocketAddr, source: &str) {
    let config = &loaded.config;
    let base = format!("http://{address}/v1");
    println!("nuncio {} serves {base}", env!("CARGO_PKG_VERSION"));
    let file = loaded.file.as_ref().map_or("none, so defaults".to_owned(), |file| file.display().to_string());
    println!("  file      {file}");
    for line in config.summary() {
        println!("  {line}");
    }
    println!("  upstream  chosen {source}");
    let model = config.default_profile().map_or("nuncio", |(id, _)| id);
    let key = if config.auth.keys.is_empty() { "" } else { " -H 'Authorization: Bearer YOUR_KEY'" };
    println!("try it:\n  curl {base}/chat/completions{key} -H 'Content-Type: application/json' \\");
    println!("    -d '{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello!\"}}]}}'");
}
