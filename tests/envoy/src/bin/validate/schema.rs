//! Checks manifests against the schemas of their kinds, as strictly as `kubectl apply --validate=strict`.
//!
//! `tests/manifests/README.md` describes the source of the schemas.

use std::fs;
use std::path::Path;

use portcullis_envoy_tests::yaml;
use regex_automata::Input;
use regex_automata::dfa::{Automaton, dense};
use serde_json::{Map, Value};

/// The `spec` of a kind of resource.
pub(crate) struct Schema {
    /// Its place, for messages.
    pub(crate) source: String,
    api_version: String,
    /// The kind.
    pub(crate) kind: String,
    spec: Value,
}

/// The schemas that every manifest is checked against.
pub(crate) fn of_manifests() -> Result<Vec<Schema>, String> {
    let file = "tests/manifests/schemas.yaml";
    let documents = documents(Path::new(file))?;
    let schemas = documents.into_iter().map(|document| {
        let text = |name: &str| Some(document.get(name)?.as_str()?.to_owned());
        let (api_version, kind) = text("apiVersion").zip(text("kind"))?;
        let spec = document.get("spec")?.clone();
        Some(Schema {
            source: file.to_owned(),
            api_version,
            kind,
            spec,
        })
    });
    let schemas: Option<Vec<_>> = schemas.collect();
    schemas.ok_or_else(|| format!("{file}: a document without apiVersion, kind and spec"))
}

/// The schemas of the CustomResourceDefinitions in a folder.
pub(crate) fn of_crds(folder: &Path) -> Result<Vec<Schema>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    let mut schemas = Vec::new();
    for file in files {
        for document in documents(&file)? {
            let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
            let names = text("/spec/group").zip(text("/spec/names/kind"));
            let versions = document.pointer("/spec/versions").and_then(Value::as_array);
            let (Some((group, kind)), Some(versions)) = (names, versions) else {
                continue;
            };
            for version in versions {
                let name = version.get("name").and_then(Value::as_str);
                let spec = version.pointer("/schema/openAPIV3Schema/properties/spec");
                if let (Some(name), Some(spec)) = (name, spec) {
                    schemas.push(Schema {
                        source: file.display().to_string(),
                        api_version: format!("{group}/{name}"),
                        kind: kind.to_owned(),
                        spec: spec.clone(),
                    });
                }
            }
        }
    }
    Ok(schemas)
}

fn documents(file: &Path) -> Result<Vec<Value>, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    yaml::documents(&text).map_err(|error| format!("{}: {error}", file.display()))
}

impl Schema {
    /// Whether it applies to this resource.
    pub(crate) fn is_for(&self, resource: &Value) -> bool {
        let is =
            |name: &str, wanted: &str| resource.get(name).and_then(Value::as_str) == Some(wanted);
        is("apiVersion", &self.api_version) && is("kind", &self.kind)
    }

    /// The errors in a resource.
    pub(crate) fn check(&self, resource: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        let members = resource.as_object().into_iter().flatten();
        for (name, member) in members {
            match name.as_str() {
                "apiVersion" | "kind" => {}
                "metadata" => check(&metadata(), member, "metadata", &mut errors),
                "spec" => check(&self.spec, member, "spec", &mut errors),
                _ => errors.push(format!("{name}: unknown field")),
            }
        }
        errors
    }

    /// The values that this schema allows and the other does not.
    pub(crate) fn allows_more_than(&self, other: &Self) -> Vec<String> {
        let mut errors = Vec::new();
        if self.is_of(other) {
            compare(&self.spec, &other.spec, "spec", &mut errors);
        }
        errors
    }

    /// Whether both are for the same kind of resource.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        (&self.api_version, &self.kind) == (&other.api_version, &other.kind)
    }
}

/// The schema of every manifest's `metadata`.
fn metadata() -> Value {
    serde_json::json!({"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"},
        "namespace": {"type": "string"},
    }})
}

fn check(schema: &Value, value: &Value, path: &str, errors: &mut Vec<String>) {
    let kind = schema.get("type").and_then(Value::as_str);
    let fits = match kind {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some(other) => {
            errors.push(format!("{path}: the schema has an unknown type {other}"));
            false
        }
        None => true,
    };
    if !fits {
        errors.push(format!(
            "{path}: found {value}; expected {}",
            kind.unwrap_or_default()
        ));
        return;
    }
    let allowed = schema.get("enum").and_then(Value::as_array);
    if allowed.is_some_and(|allowed| !allowed.contains(value)) {
        let allowed = Value::from(allowed.cloned().unwrap_or_default());
        errors.push(format!("{path}: found {value}; allowed: {allowed}"));
    }
    for schema in schema["allOf"].as_array().into_iter().flatten() {
        check(schema, value, path, errors);
    }
    if let Some(text) = value.as_str() {
        check_text(schema, text, path, errors);
    }
    if let (Some(number), Some(minimum)) = (value.as_f64(), bound(schema, "minimum"))
        && number < minimum
    {
        errors.push(format!("{path}: less than {minimum}"));
    }
    if let (Some(number), Some(maximum)) = (value.as_f64(), bound(schema, "maximum"))
        && number > maximum
    {
        errors.push(format!("{path}: more than {maximum}"));
    }
    for (i, item) in value.as_array().into_iter().flatten().enumerate() {
        check(&schema["items"], item, &format!("{path}[{i}]"), errors);
    }
    if let Some(members) = value.as_object() {
        check_members(schema, members, path, errors);
    }
    if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
        let fitting = choices.iter().filter(|choice| has_members(choice, value));
        if fitting.count() != 1 {
            errors.push(format!("{path}: not exactly one of {choices:?}"));
        }
    }
}

fn bound(schema: &Value, name: &str) -> Option<f64> {
    schema.get(name)?.as_f64()
}

fn check_text(schema: &Value, text: &str, path: &str, errors: &mut Vec<String>) {
    let length = text.chars().count() as f64;
    let is_short = bound(schema, "minLength").is_some_and(|minimum| length < minimum);
    let is_long = bound(schema, "maxLength").is_some_and(|maximum| length > maximum);
    if is_short || is_long {
        errors.push(format!("{path}: {length} characters"));
    }
    let Some(pattern) = schema.get("pattern").and_then(Value::as_str) else {
        return;
    };
    let matches = dense::DFA::new(pattern)
        .map_err(|error| error.to_string())
        .and_then(|dfa| {
            dfa.try_search_fwd(&Input::new(text))
                .map_err(|error| error.to_string())
        });
    match matches {
        Ok(Some(_)) => {}
        Ok(None) => errors.push(format!("{path}: found {text:?}; expected {pattern}")),
        Err(error) => errors.push(format!("{path}: {pattern}: {error}")),
    }
}

fn check_members(
    schema: &Value,
    members: &Map<String, Value>,
    path: &str,
    errors: &mut Vec<String>,
) {
    let required = schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        if !members.contains_key(name) {
            errors.push(format!("{path}: {name} is missing"));
        }
    }
    let is_open = schema["x-kubernetes-preserve-unknown-fields"] == true;
    for (name, member) in members {
        let path = format!("{path}.{name}");
        let named = schema.get("properties").and_then(|known| known.get(name));
        let other = schema
            .get("additionalProperties")
            .filter(|it| it.is_object());
        match named.or(other) {
            Some(schema) => check(schema, member, &path, errors),
            None if is_open => {}
            None => errors.push(format!("{path}: unknown field")),
        }
    }
}

/// A CRD's `oneOf`, which lists required members.
fn has_members(choice: &Value, value: &Value) -> bool {
    let required = choice.get("required").and_then(Value::as_array);
    let has_all = required
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .all(|name| value.get(name).is_some());
    let any = choice.get("anyOf").and_then(Value::as_array);
    let has_any = any.is_none_or(|any| any.iter().any(|choice| has_members(choice, value)));
    let not = choice.get("not");
    has_all && has_any && not.is_none_or(|not| !has_members(not, value))
}

/// The values that `ours` allows and `theirs` does not.
fn compare(ours: &Value, theirs: &Value, path: &str, errors: &mut Vec<String>) {
    for word in [
        "type",
        "enum",
        "pattern",
        "x-kubernetes-preserve-unknown-fields",
    ] {
        let is_stricter = word == "enum" && is_part(&ours[word], theirs.get(word));
        let is_unneeded = word == "pattern" && ours.get(word).is_none();
        if ours.get(word) != theirs.get(word) && !is_stricter && !is_unneeded {
            errors.push(format!(
                "{path}: {word}: {} here, {} there",
                ours[word], theirs[word]
            ));
        }
    }
    let required = theirs.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten() {
        let is_required = ours["required"]
            .as_array()
            .is_some_and(|it| it.contains(name));
        if !is_required {
            errors.push(format!("{path}: {name} is required there"));
        }
    }
    for (name, schema) in ours["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match theirs.get("properties").and_then(|known| known.get(name)) {
            Some(other) => compare(schema, other, &path, errors),
            None => errors.push(format!("{path}: unknown there")),
        }
    }
    for word in ["items", "additionalProperties"] {
        if let Some(schema) = ours.get(word) {
            compare(schema, &theirs[word], &format!("{path}[]"), errors);
        }
    }
}

/// Whether there are no other values than these, or all values are allowed.
fn is_part(values: &Value, allowed: Option<&Value>) -> bool {
    let Some(allowed) = allowed.and_then(Value::as_array) else {
        return true;
    };
    let values = values.as_array();
    values.is_some_and(|values| values.iter().all(|value| allowed.contains(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(spec: &str, resource: &str) -> Vec<String> {
        let schema = Schema {
            source: String::new(),
            api_version: "a/v1".to_owned(),
            kind: "K".to_owned(),
            spec: yaml::documents(spec).unwrap().remove(0),
        };
        schema.check(&yaml::documents(resource).unwrap()[0])
    }

    #[test]
    fn what_a_schema_does_not_have_is_refused() {
        let spec = "
type: object
required: [a]
oneOf: [{required: [b]}, {required: [c]}]
properties:
  a: {type: string, enum: [x, y], minLength: 1}
  b: {type: array, items: {type: object, properties: {n: {type: integer, minimum: 1, maximum: 9}}}}
  c: {type: object, x-kubernetes-preserve-unknown-fields: true}
  d: {type: object, additionalProperties: {type: string, pattern: '^[a-f0-9]{4}$'}}
";
        assert_eq!(
            errors(spec, "spec: {a: x, b: [{n: 3}], d: {k: 00ff}}"),
            Vec::<String>::new()
        );
        assert_eq!(
            errors(spec, "spec: {a: y, c: {any: [thing]}}"),
            Vec::<String>::new()
        );
        for (resource, expected) in [
            ("spec: {c: {}}", "spec: a is missing"),
            (
                "spec: {a: z, c: {}}",
                "spec.a: found \"z\"; allowed: [\"x\",\"y\"]",
            ),
            ("spec: {a: 1, c: {}}", "spec.a: found 1; expected string"),
            ("spec: {a: x, c: {}, e: 1}", "spec.e: unknown field"),
            ("spec: {a: x, b: [{m: 1}]}", "spec.b[0].m: unknown field"),
            ("spec: {a: x, b: [{n: 10}]}", "spec.b[0].n: more than 9"),
            ("spec: {a: x, b: [{n: 0}]}", "spec.b[0].n: less than 1"),
            (
                "spec: {a: x, c: {}, d: {k: xyz}}",
                "spec.d.k: found \"xyz\"; expected ^[a-f0-9]{4}$",
            ),
            ("{spec: {a: x, c: {}}, data: 1}", "data: unknown field"),
            (
                "{spec: {a: x, c: {}}, metadata: {nam: 1}}",
                "metadata: name is missing",
            ),
        ] {
            let errors = errors(spec, resource);
            assert!(
                errors.iter().any(|error| error == expected),
                "{resource}: {errors:?}"
            );
        }
        assert_eq!(errors(spec, "spec: {a: x, b: [], c: {}}").len(), 1);
        assert_eq!(errors(spec, "spec: {a: x}").len(), 1);
    }

    #[test]
    fn a_schema_that_allows_more_is_found() {
        let schema = |spec: &str| yaml::documents(spec).unwrap().remove(0);
        let theirs = schema(
            "{type: object, required: [a], properties: {a: {type: string, enum: [x]}, b: {type: array, items: \
             {type: string}}}}",
        );
        let mut errors = Vec::new();
        compare(&theirs, &theirs, "spec", &mut errors);
        assert_eq!(errors, Vec::<String>::new());
        for ours in [
            "{type: object, properties: {a: {type: string, enum: [x]}}}",
            "{type: object, required: [a], properties: {a: {type: string, enum: [x, y]}}}",
            "{type: object, required: [a], properties: {c: {type: string}}}",
            "{type: object, required: [a], properties: {b: {type: array, items: {type: object}}}}",
        ] {
            let mut errors = Vec::new();
            compare(&schema(ours), &theirs, "spec", &mut errors);
            assert_eq!(errors.len(), 1, "{ours}: {errors:?}");
        }
    }
}
