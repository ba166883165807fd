//! The sets and tokens of real providers.

use portcullis_scenarios::tokens::Provider;
use serde_json::json;

use super::super::difference::TENANT;
use super::{Case, rs256, signed};

pub(super) fn cases() -> Vec<Case> {
    Provider::all().iter().map(case).collect()
}

fn case(provider: &Provider) -> Case {
    let (answers, why) = match provider.name() {
        "entra-v2" => ((200, 401), Some(TENANT)),
        _ => ((200, 200), None),
    };
    let document = provider.document().to_string();
    let case = Case::new(provider.name(), document, &signed(&rs256()), answers, why);
    let mut settings = provider.settings().clone();
    settings["jwks"] = provider.jwks_settings().into();
    Case {
        provider: settings,
        header: provider.header(&provider.token(&json!({}))),
        ..case
    }
}
