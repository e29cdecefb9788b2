//! The short notation in which effects are compared.

use super::*;

/// Feeds all inputs and writes down what came of them.
pub(super) fn play(machine: &mut Machine, inputs: impl IntoIterator<Item = Input>) -> Vec<String> {
    let notes = inputs.into_iter().flat_map(|input| machine.on(input)).map(|effect| note(&effect));
    notes.map(|note| (1..9).fold(note, |note, n| note.replace(&id_of(&format!("c{n}")), &format!("c{n}")))).collect()
}

fn note(effect: &Effect) -> String {
    match effect {
        Effect::CallUpstream(request) => {
            let items: Vec<String> = request.items.iter().map(|item| short(item)).collect();
            let choice = &request.tool_choice;
            let max = request.max_output_tokens.map_or(String::new(), |max| format!(" max {max}"));
            format!("model [{}] {} tools {choice:?}{max}", items.join(", "), request.tools.len())
        }
        Effect::RunTool(call) => format!("run {} {}", call.call_id, call.name),
        Effect::CheckAnswer(text) => format!("check {text}"),
        Effect::Abort => "abort".into(),
        Effect::Emit(event) => match event {
            RunEvent::Started => "started".into(),
            RunEvent::Resumed => "resumed".into(),
            RunEvent::ItemStarted { index, item } => format!("+{index} {}", short(item)),
            RunEvent::Delta { index, delta } => match delta {
                Delta::Text(text) | Delta::Refusal(text) | Delta::Reasoning(text) => format!("~{index} {text}"),
                Delta::Logprobs(likely) => format!("~{index} {} likely", likely.len()),
                Delta::Arguments(text) => format!("~{index} args {text}"),
                Delta::Progress(text) => format!("~{index} progress {text}"),
            },
            RunEvent::ItemDone { index, item } => format!("={index} {}", short(item)),
            RunEvent::StepDone { usage } => format!("step {}+{}", usage.input, usage.output),
            RunEvent::Spent { usage } => format!("spent {}+{}", usage.input, usage.output),
            RunEvent::Waiting { call_ids } => format!("waiting {}", call_ids.join(" ")),
            RunEvent::Finished { outcome } => match outcome {
                Outcome::Failed { failure } => {
                    format!("failed {:?}{}", failure.kind, if failure.after_effects { " after effects" } else { "" })
                }
                other => format!("finished {other:?}"),
            },
        },
    }
}

pub(super) fn short(item: &Item) -> String {
    let cut = |status: &Status| if *status == Status::Incomplete { "!" } else { "" };
    match item {
        Item::Message(Message { role, status, content, .. }) => {
            let role = format!("{role:?}").to_lowercase();
            format!("{role}{} '{}'", cut(status), crate::core::item::text_of(content))
        }
        Item::Reasoning(reasoning) => {
            let sealed = reasoning.sealed.as_ref().map(|sealed| format!(" sealed {}", sealed.blocks.len()));
            format!("thought '{}'{}", reasoning.text, sealed.unwrap_or_default())
        }
        Item::ToolCall(ToolCall { call_id, name, arguments, origin, status, .. }) => {
            let origin = format!("{origin:?}").to_lowercase();
            format!("{origin}{} {call_id} {name} {arguments}", cut(status))
        }
        Item::ToolOutput(output) => {
            let verdict = if output.failed { "failed" } else { "output" };
            format!("{verdict} {} '{}'", output.call_id, crate::core::item::text_of(&output.content))
        }
        Item::Compaction(compaction) => format!("compaction '{}'", compaction.summary),
        Item::Opaque { .. } => "opaque".into(),
    }
}
