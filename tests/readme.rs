//! The README's transcripts, run against the daemon as it starts with nothing configured.

mod support;

use std::process::Stdio;
use support::Daemon;

/// A command and what it must print; `…` stands for anything.
struct Transcript {
    command: String,
    output: String,
}

fn transcripts(text: &str) -> Vec<Transcript> {
    let blocks = text.split("```console\n").skip(1).filter_map(|block| block.split("```").next());
    let parse = |block: &str| {
        let (command, output) = block.strip_prefix("$ ")?.split_once('\n')?;
        Some(Transcript { command: command.to_owned(), output: output.trim_end().to_owned() })
    };
    blocks.map(|block| parse(block).expect("a block begins with a command")).collect()
}

/// Whether `text` is `pattern`, with something in the place of each `…`.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn patterns_can_fail() {
    assert!(fits("a…c", "abc") && fits("abc", "abc"));
    assert!(!fits("a…c", "abd") && !fits("abc", "abcd") && !fits("a…b…c", "acb"));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the reader's own shell")]
fn every_transcript_of_the_readme_is_true() {
    // Not with nothing at all: an Ollama on the machine would answer instead.
    let daemon = Daemon::rehearsing();
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let transcripts = transcripts(&readme);
    assert!(transcripts.len() >= 4, "{} transcripts", transcripts.len());
    for Transcript { command, output } in transcripts {
        let here = command.replace("http://127.0.0.1:8642", &daemon.base);
        assert_ne!(here, command, "a command that goes elsewhere");
        let ran = std::process::Command::new("sh").arg("-c").arg(&here).stderr(Stdio::inherit()).output().unwrap();
        let printed = String::from_utf8(ran.stdout).unwrap();
        assert!(fits(&output, printed.trim_end()), "{command}\nprints\n{printed}\nand not\n{output}");
    }
}
