//! A command that swaps a folder for a symlink out, again and again, while the file tools work in it.

use crate::attempt::broken;
use crate::{House, supervisor};
use nuncio::core::id::RunId;
use nuncio::core::item::text_of;
use nuncio::core::ports::tool::{Activity, ToolContext, ToolError, Who};
use nuncio::sandbox::Streams;
use nuncio::tools::fetch_url::FetchSettings;
use nuncio::tools::{Means, ToolSettings, builtin};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::{Duration, Instant};

const TIMES: usize = 200;
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_symlink_swapped_in_does_not_lead_the_file_tools_out() {
    let house = House::new();
    let folder = house.workspace.join("folder");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("file"), "inside").unwrap();
    symlink(&house.outside, house.workspace.join("link")).unwrap();
    let before = house.surroundings();

    let policy = house.policy().knowing(broken().await);
    let attacker = house.kit.attacker.display();
    let script =
        format!("ATTACK='swap folder link 60000' {attacker} --ignored --exact attacker::role --test-threads=1");
    let (streams, _output) = Streams::combined().unwrap();
    let swapping = supervisor(&policy).spawn(&house.command(&script), streams).await.unwrap();
    // Who follows the path as it stands is led out.
    let is_led_out = || fs::read_to_string(folder.join("file")).is_ok_and(|text| text == "anybody's");
    until(is_led_out).await;

    let settings = ToolSettings {
        output_limit: 32 << 10,
        max_image: 1 << 20,
        terminal_max_output: 1 << 20,
        read_limit: 16 << 20,
        max_matches: 200,
        terminal_max_time: Duration::from_secs(600),
        shell: "/bin/sh".to_owned(),
        fetch_url: FetchSettings::default(),
        web_search: None,
    };
    let tools = builtin(settings, supervisor(&policy), &Means::default()).unwrap();
    let (mut inside, mut refused) = (0, Vec::new());
    let begun = Instant::now();
    // On a busy machine it may be a while until the one or the other has its turn.
    let mut number = 0;
    while number < TIMES || ((inside == 0 || refused.is_empty()) && begun.elapsed() < PATIENCE) {
        number += 1;
        let calls: [(&str, Value); 5] = [
            ("read_file", json!({"path": "folder/file"})),
            ("write_file", json!({"path": format!("folder/new{number}"), "content": "x"})),
            ("edit_file", json!({"path": "folder/file", "old_string": "anybody's", "new_string": "mine"})),
            ("list_files", json!({"path": "folder"})),
            ("search_files", json!({"path": "folder", "pattern": "."})),
        ];
        for (name, arguments) in calls {
            match tools.get(name).unwrap().call(arguments, context(&house)).await {
                Ok(parts) => {
                    let text = text_of(&parts).into_owned();
                    assert!(!text.contains("anybody's") && !text.contains("engine"), "{name} was led out: {text}");
                    inside += 1;
                }
                Err(ToolError::TellModel(text)) => refused.push(text),
                Err(error) => panic!("{name}: {error:?}"),
            }
        }
    }
    // It went on until now.
    until(is_led_out).await;
    drop(swapping);
    assert_eq!(house.surroundings(), before);
    assert!(
        inside > 0 && !refused.is_empty(),
        "{inside} calls inside, {} refused: {:?}",
        refused.len(),
        refused.last()
    );
}

async fn until(reached: impl Fn() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < PATIENCE, "nothing is swapped");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn context(house: &House) -> ToolContext {
    ToolContext {
        run: RunId::new(uuid::Uuid::nil()),
        call_id: "c1".into(),
        who: Arc::new(Who { principal: "ann".into(), user: None, profile: "nuncio".into() }),
        session: "s1".into(),
        workspace: house.workspace.as_path().into(),
        time_limit: Duration::from_secs(60),
        activity: Activity::silent(),
    }
}
