//! What else a run is told when it begins, and what people see of its plan.

use crate::support::command;
use crate::upstream::{Request, Server, calls, stream, turn};
use crate::{Settings, ask, client, daemon};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn skill(shelf: &Path, name: &str, text: &str) {
    fs::create_dir_all(shelf.join(name)).unwrap();
    fs::write(shelf.join(name).join("SKILL.md"), text).unwrap();
}

/// An upstream that opens the skill it is asked for, and repeats what it reads.
async fn reader() -> Server {
    Server::directed(|_, request: &Request| {
        let last = request.body["messages"].as_array().unwrap().last().unwrap();
        match last["role"] == "tool" {
            true => stream("Read."),
            false => turn([calls(0, "c", "skill", &json!({"name": last["content"]}))], "tool_calls"),
        }
    })
    .await
}

#[tokio::test]
async fn a_skill_that_is_added_is_told_and_opened_without_a_restart() {
    let upstream = reader().await;
    let shelf = tempfile::tempdir().unwrap();
    let shelf = shelf.path();
    skill(shelf, "tea", "---\nname: tea\ndescription: Makes tea.\n---\nBoil water.\n");
    let profile = format!("instructions: Obey., skills: ['{}']", shelf.display());
    let daemon = daemon(&upstream, &Settings { profile: &profile, ..Settings::default() });
    let told = |request: &Request| request.body["messages"][0]["content"].as_str().unwrap().to_owned();
    let read = |request: &Request| request.last().to_owned();

    client::stream(&daemon, &ask("tea")).await;
    skill(shelf, "ale", "---\nname: ale\ndescription: Brews ale.\n---\nMash grain.\n");
    skill(shelf, "odd", "no front matter");
    client::stream(&daemon, &ask("ale")).await;
    let requests = upstream.requests();
    assert!(told(&requests[0]).starts_with("Obey.\n\nSkills are "), "{}", told(&requests[0]));
    assert!(told(&requests[0]).ends_with("\n- tea: Makes tea."), "{}", told(&requests[0]));
    assert!(read(&requests[1]).starts_with("Boil water.\n[skill tea, in the folder "), "{}", read(&requests[1]));
    assert!(told(&requests[2]).ends_with("\n- ale: Brews ale.\n- tea: Makes tea."), "{}", told(&requests[2]));
    assert!(read(&requests[3]).starts_with("Mash grain."), "{}", read(&requests[3]));
    assert!(daemon.log().contains("a skill cannot be offered"), "{}", daemon.log());
}

#[tokio::test]
async fn a_command_can_run_the_script_of_a_skill_and_not_change_it() {
    let upstream = Server::directed(|_, request: &Request| {
        let last = request.body["messages"].as_array().unwrap().last().unwrap();
        match last["role"] == "tool" {
            true => stream("Run."),
            false => turn([calls(0, "c", "terminal", &json!({"command": last["content"]}))], "tool_calls"),
        }
    })
    .await;
    let shelf = tempfile::tempdir().unwrap();
    skill(shelf.path(), "tea", "---\nname: tea\ndescription: Makes tea.\n---\nRun boil.sh.\n");
    fs::write(shelf.path().join("tea/boil.sh"), "echo hot water\n").unwrap();
    let profile = format!("skills: ['{}']", shelf.path().display());
    let daemon = daemon(&upstream, &Settings { profile: &profile, ..Settings::default() });
    let folder = shelf.path().join("tea");
    client::stream(&daemon, &ask(&format!("cd {} && sh boil.sh; touch mine", folder.display()))).await;
    let told = upstream.requests().pop().unwrap().last().to_owned();
    assert!(told.starts_with("hot water\n") && told.ends_with("[exit code 1]"), "{told}");
    assert!(!folder.join("mine").exists());
}

#[tokio::test]
async fn without_skills_there_is_no_tool_for_them() {
    let upstream = Server::directed(|_, _| stream("Well.")).await;
    let daemon = daemon(&upstream, &Settings::default());
    client::stream(&daemon, &ask("hi")).await;
    let request = upstream.requests().pop().unwrap();
    let tools = request.body["tools"].as_array().unwrap().iter();
    let names: Vec<&str> = tools.map(|tool| tool["function"]["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"memory") && names.contains(&"todo") && !names.contains(&"skill"), "{names:?}");
    assert_eq!(request.body["messages"].as_array().unwrap().len(), 1, "and nothing to tell");
}

#[test]
fn a_check_tells_of_skills_and_of_what_is_wrong_with_them() {
    let folder = tempfile::tempdir().unwrap();
    skill(&folder.path().join("skills"), "tea", "---\nname: tea\ndescription: Makes tea.\n---\n");
    skill(&folder.path().join("skills"), "odd", "---\nname: odd\n---\n");
    let yaml = format!("{}skills: {{paths: [skills, none]}}\n", crate::support::REHEARSAL);
    fs::write(folder.path().join("config.yaml"), yaml).unwrap();
    let output = command(folder.path()).arg("check").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let at = folder.path().canonicalize().unwrap();
    let lines = format!(
        "skills    tea\n\
         warning   {at}/skills/odd/SKILL.md has no `description`, by which a model would choose it\n\
         warning   {at}/none cannot be read: No such file or directory (os error 2)\n",
        at = at.display()
    );
    assert!(text.contains(&lines), "{text}");
}

/// A plan changes nothing: what comes after it may fail and be tried again.
#[tokio::test]
async fn a_plan_is_shown_and_is_no_effect() {
    let steps = json!([{"text": "read", "status": "done"}, {"text": "write\nit", "status": "in_progress"}]);
    let upstream = Server::directed(move |number, _| match number {
        0 => turn([calls(0, "c", "todo", &json!({"steps": steps}))], "tool_calls"),
        _ => crate::upstream::whole("500 Oops", "", ""),
    })
    .await;
    let settings = Settings { upstream: "max_retries: 0", profile: "tools: [todo]", ..Settings::default() };
    let daemon = daemon(&upstream, &settings);
    let frames = client::stream(&daemon, &ask("hi")).await;
    let shown: Vec<Value> =
        frames.iter().filter_map(|frame| serde_json::from_str(frame.strip_prefix("data: ")?).ok()).collect();
    assert!(shown.iter().any(|chunk| chunk.to_string().contains("2/2: write it")), "{frames:?}");
    let error = shown.iter().find_map(|chunk| chunk.get("error")).unwrap();
    assert_ne!(error["code"], "invalid_prompt", "{error}");
}
