use super::*;
use rstest::rstest;
use serde_json::{Map, json};

/// Definitions, each of which leads to the next `times` times.
fn chain(length: usize, times: usize) -> Value {
    let to = |at: usize| json!({"$ref": format!("#/$defs/a{at}")});
    let link = |at: usize| (format!("a{at}"), json!({"allOf": vec![to(at + 1); times]}));
    let mut defs: Map<String, Value> = (0..length).map(link).collect();
    defs.insert(format!("a{length}"), json!({"type": "object"}));
    json!({"$defs": defs, "$ref": "#/$defs/a0"})
}

/// The same schema with its references written in other letters.
fn encoded(schema: Value) -> Value {
    serde_json::from_str(&schema.to_string().replace("#/$defs", "#/%24defs")).unwrap()
}

/// The same schema for another place.
fn moved(schema: Value, to: &str) -> Value {
    serde_json::from_str(&schema.to_string().replace("#/", &format!("#{to}/"))).unwrap()
}

fn patterns(count: usize) -> Value {
    let pattern = |at: usize| (format!("p{at}"), json!({"pattern": "^a+$"}));
    json!({"properties": (0..count).map(pattern).collect::<Map<_, _>>()})
}

/// A value as deep as JSON may be.
fn deep() -> Value {
    (0..120).fold(json!({}), |inner, _| json!({"a": inner}))
}

#[rstest]
#[case::long(json!({"description": "x".repeat(MAX_BYTES)}), "it has 262162 bytes, and 262144 are the most")]
#[case::many_ways(chain(60, 2), "with all its references followed it has more than 100000 parts")]
#[case::a_long_way(chain(5000, 1), "with all its references followed it has more than 100000 parts")]
#[case::many_patterns(patterns(MAX_PATTERNS + 1), "it has 201 patterns, and 200 are the most")]
#[case::a_large_pattern(json!({"pattern": "((a{1000}){1000}){1000}"}), "at /pattern: \"((a{1000}){1000}){1000}\" is not a \"regex\"")]
#[case::no_pattern(json!({"pattern": "("}), "at /pattern: \"(\" is not a \"regex\"")]
#[case::no_type(json!({"type": "objct"}), "at /type: \"objct\" is not valid under any of the schemas listed in the 'anyOf' keyword")]
#[case::no_target(json!({"$ref": "#/$defs/a"}), "it refers to #/$defs/a, which is not there")]
#[case::no_draft(json!({"$schema": "http://127.0.0.1:9/x.json"}), "its `$schema`, http://127.0.0.1:9/x.json, is no draft of json-schema.org")]
#[case::over_the_network(json!({"$ref": "http://127.0.0.1:9/x.json"}), "it refers to http://127.0.0.1:9/x.json, and a reference may only name a place in it, as #/$defs/name does")]
#[case::by_name(json!({"$anchor": "a", "items": {"$ref": "#a"}}), "it refers to #a, and a reference may only name a place in it, as #/$defs/name does")]
#[case::by_whoever_asks(json!({"$dynamicAnchor": "a", "items": {"$dynamicRef": "#a"}}), "it refers to #a, and a reference may only name a place in it, as #/$defs/name does")]
#[case::from_elsewhere(json!({"items": {"$id": "http://x/y", "$ref": "#/$defs/a"}, "$defs": {"a": {}}}), "it refers to http://x/y, and a reference may only name a place in it, as #/$defs/name does")]
#[case::many_ways_in_other_letters(
    encoded(chain(60, 2)),
    "with all its references followed it has more than 100000 parts"
)]
#[case::many_ways_in_what_could_be_data(json!({"properties": {"default": moved(chain(60, 2), "/properties/default")}}), "with all its references followed it has more than 100000 parts")]
#[case::from_the_disk(json!({"$ref": "file:///etc/passwd"}), "it refers to file:///etc/passwd, and a reference may only name a place in it, as #/$defs/name does")]
fn what_is_no_schema_or_too_much_of_one_is_refused(#[case] schema: Value, #[case] problem: &str) {
    assert_eq!(Schema::of_stranger(&schema).unwrap_err(), problem);
}

#[rstest]
#[case::large(json!({"properties": (0..5000).map(|at| (format!("p{at}"), json!({"type": "string"}))).collect::<Map<_, _>>()}))]
#[case::some_ways(chain(8, 3))]
#[case::other_letters(encoded(chain(3, 1)))]
#[case::names_that_are_no_bases(json!({"$schema": "http://json-schema.org/draft-07/schema#", "$id": "http://x/y", "properties": {"a": {"$id": "#/properties/a"}, "$ref": {"type": "string"}}}))]
#[case::itself(json!({"$ref": "#"}))]
#[case::itself_within(json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}))]
#[case::an_older_draft(json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}))]
#[case::patterns(patterns(MAX_PATTERNS / 2))]
#[case::a_slow_pattern(json!({"properties": {"a": {"properties": {"b": {"pattern": "^(a+)+(?=b)$"}}}}}))]
fn what_is_fine_accepts_an_object(#[case] schema: Value) {
    assert!(Schema::of_stranger(&schema).unwrap().accepts(&json!({"a": {}})));
}

/// Two ways lead from each object to the one in it; 2 to the power of 120 would be taken to look for all faults.
#[test]
fn faults_are_not_looked_for_where_that_could_take_for_ever() {
    let way = json!({"properties": {"a": {"$ref": "#"}}, "required": ["b"]});
    let schema = Schema::of_stranger(&json!({"anyOf": [way, way]})).unwrap();
    assert!(!schema.accepts(&deep()));
    assert_eq!(schema.faults(&deep()), "");
    let faults = schema.faults(&json!({"a": 1}));
    assert_eq!(faults, "\n- the value is not valid under any of the schemas listed in the 'anyOf' keyword");
}

#[test]
fn a_list_that_goes_on_in_itself_has_its_faults_told_however_long() {
    let schema = json!({"properties": {"a": {"$ref": "#"}}, "additionalProperties": {"type": "integer"}});
    let schema = Schema::of_stranger(&schema).unwrap();
    assert_eq!(schema.faults(&deep()), "");
    let value = (0..50).fold(json!({"b": "x"}), |inner, _| json!({"a": inner}));
    assert_eq!(schema.faults(&value), format!("\n- at {}/b: \"x\" is not of type \"integer\"", "/a".repeat(50)));
}
