use super::*;
use crate::core::item::Part;
use crate::core::ports::tool::{Annotations, ToolContext, ToolError, ToolSpec};
use crate::schema::MAX_FAULT;
use futures_util::future::BoxFuture;
use serde_json::json;

struct Stub(ToolSpec);

impl Tool for Stub {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    fn annotations(&self) -> Annotations {
        Annotations::READ_ONLY
    }

    fn summary(&self, _: &Value) -> String {
        String::new()
    }

    fn call(&self, _: Value, _: ToolContext) -> BoxFuture<'static, Result<Vec<Part>, ToolError>> {
        unreachable!("it is only looked at")
    }
}

fn stub(name: &str, parameters: Option<Value>) -> Arc<dyn Tool> {
    Arc::new(Stub(ToolSpec { name: name.to_owned(), parameters, ..ToolSpec::default() }))
}

fn reader() -> Arc<dyn Tool> {
    let parameters = json!({
        "type": "object",
        "properties": {"path": {"type": "string"}, "limit": {"type": "integer", "minimum": 1}, "tags": {"type": "array", "items": {"type": "string"}}, "as": {"enum": ["text", "lines", "bytes", "words"]}, "to": {"enum": ["me"]}},
        "required": ["path"],
        "additionalProperties": false,
    });
    stub("read", Some(parameters))
}

#[test]
fn arguments_are_checked_and_every_fault_is_told() {
    let tools = ToolSet::new([reader(), stub("any", None)]).unwrap();
    let fine =
        [("read", json!({"path": "a", "limit": 1})), ("read", json!({"path": "a", "limit": null})), ("any", json!(3))];
    for (name, arguments) in fine {
        assert_eq!(tools.validate(name, &arguments), Ok(()), "{arguments}");
    }
    let long = "x".repeat(1000);
    let faulty = [
        (json!({}), "\n- \"path\" is a required property".to_owned()),
        (json!({"path": null}), "\n- \"path\" is a required property".to_owned()),
        (json!("a"), "\n- \"a\" is not of type \"object\"".to_owned()),
        (
            json!({"path": 1, "limit": 0, "file": "b"}),
            "\n- at /path: 1 is not of type \"string\"\n- at /limit: 0 is less than the minimum of 1\
             \n- Additional properties are not allowed ('file' was unexpected)"
                .to_owned(),
        ),
        (
            json!({"path": "a", "as": "list", "to": [&long]}),
            "\n- at /as: \"list\" is not one of \"text\", \"lines\", \"bytes\" or \"words\"\
             \n- at /to: the value is not \"me\""
                .to_owned(),
        ),
        (json!({"path": [&long]}), "\n- at /path: the value is not of type \"string\"".to_owned()),
        (
            json!({"path": "a", &long: 1}),
            format!("\n- Additional properties are not allowed ('{}…", "x".repeat(MAX_FAULT - 41)),
        ),
        (
            json!({"path": "a", "tags": [0, 1, 2, 3, 4, 5, 6]}),
            (0..5).map(|n| format!("\n- at /tags/{n}: {n} is not of type \"string\"")).collect::<String>()
                + "\n- … and more",
        ),
    ];
    for (arguments, faults) in faulty {
        let expected = format!("The arguments of read do not fit its schema:{faults}");
        assert_eq!(tools.validate("read", &arguments), Err(expected), "{arguments}");
    }
    assert_eq!(
        tools.validate("raed", &json!({})),
        Err("There is no tool `raed`. The tools are: any, read.".to_owned())
    );
}

#[test]
fn a_set_can_be_narrowed_but_not_by_accident() {
    let tools = ToolSet::new([stub("b", None), reader(), stub("a", None)]).unwrap();
    let names = |tools: &ToolSet| tools.specs().iter().map(|spec| spec.name.clone()).collect::<Vec<_>>();
    let only = |names: &[&str]| tools.select(&Allowed::Only(names.iter().map(|name| name.to_string()).collect()));
    assert_eq!(names(&tools), ["a", "b", "read"]);
    assert_eq!(names(&tools.select(&Allowed::All).unwrap()), ["a", "b", "read"]);
    let some = only(&["read", "a", "a"]).unwrap();
    assert_eq!(names(&some), ["a", "read"]);
    assert!(some.get("b").is_none() && some.validate("b", &json!({})).is_err());
    assert_eq!(names(&only(&[]).unwrap()), [""; 0]);
    let unknown = RegistryError::Unknown { name: "c".to_owned(), known: "a, b, read".to_owned() };
    assert_eq!(only(&["a", "c"]).unwrap_err(), unknown);
}

#[test]
fn what_cannot_be_offered_is_no_set() {
    let twice = ToolSet::new([stub("a", None), stub("a", None)]);
    assert_eq!(twice.unwrap_err(), RegistryError::Duplicate("a".to_owned()));
    let broken = ToolSet::new([stub("a", Some(json!({"type": "objct"})))]);
    assert!(matches!(broken.unwrap_err(), RegistryError::Schema { tool, .. } if tool == "a"));
}
