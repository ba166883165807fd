//! Places of a token in a request.

use portcullis_envoy_tests::message::Request;

use super::difference::*;
use super::{Case, Mint};
use crate::{bearer, with_authorization};

pub(super) fn cases(mint: &Mint) -> Vec<Case> {
    let token = mint.token().sign();
    let other = mint.token().claim("sub", "eve").sign();
    let preflight = Request::new("OPTIONS", "/")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "PUT");
    let authorization = |value: String| with_authorization(value);
    let differs = Case::differs;
    let both = Case::both;
    vec![
        both("nothing", Request::get("/"), 401),
        both(
            "an empty Authorization header",
            authorization(String::new()),
            401,
        ),
        both(
            "another scheme",
            authorization("Basic YTpi".to_owned()),
            401,
        ),
        both("a preflight", preflight, 200),
        both(
            "OPTIONS that is no preflight",
            Request::new("OPTIONS", "/"),
            401,
        ),
        both(
            "a token without its scheme",
            authorization(token.clone()),
            401,
        ),
        both(
            "with a client's own x-user",
            bearer(&token).header("x-user", "root"),
            200,
        ),
        differs(
            "the scheme in other letters",
            authorization(format!("bEARER {token}")),
            (200, 401),
            CASE,
        ),
        differs(
            "something before the scheme",
            authorization(format!("Basic x, Bearer {token}")),
            (401, 200),
            PREFIX,
        ),
        both("the scheme only", authorization("Bearer ".to_owned()), 401),
        differs(
            "something behind the token",
            authorization(format!("Bearer {token} x")),
            (400, 401),
            ONE_TOKEN,
        ),
        differs(
            "two tokens in a header",
            authorization(format!("Bearer {token}, Bearer {other}")),
            (400, 401),
            ONE_TOKEN,
        ),
        differs(
            "two headers",
            bearer(&token).header("authorization", format!("Bearer {other}")),
            (400, 401),
            ONE_TOKEN,
        ),
        differs(
            "a token twice",
            bearer(&token).header("authorization", format!("Bearer {token}")),
            (400, 401),
            ONE_TOKEN,
        ),
        differs(
            "the scheme twice",
            authorization(format!("Bearer Bearer {token}")),
            (400, 401),
            ONE_TOKEN,
        ),
        differs(
            "no token at all",
            authorization("Bearer not a token".to_owned()),
            (400, 401),
            ONE_TOKEN,
        ),
        differs(
            "a comma behind the token",
            authorization(format!("Bearer {token},")),
            (400, 401),
            ONE_TOKEN,
        ),
        differs(
            "a token in quotes",
            authorization(format!("Bearer \"{token}\"")),
            (400, 401),
            ONE_TOKEN,
        ),
        both(
            "a tab between",
            authorization(format!("Bearer\t{token}")),
            401,
        ),
        both(
            "a colon behind the scheme",
            authorization(format!("Bearer: {token}")),
            401,
        ),
        differs(
            "an equals sign in front of the token",
            authorization(format!("Bearer ={token}")),
            (401, 200),
            PREFIX,
        ),
        both(
            "a token in the query",
            Request::get(format!("/?access_token={token}")),
            401,
        ),
    ]
}
