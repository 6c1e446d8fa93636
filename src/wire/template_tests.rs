//! What stays of a path, and what must never.

use proptest::prelude::*;

use super::*;

fn same(paths: &[(&str, &str)]) {
    for (target, template) in paths {
        assert_eq!(&*path(target.as_bytes()), *template, "{target}");
    }
}

#[test]
fn words_stay() {
    for p in [
        "/",
        "/orders",
        "/orders/",
        "/api/v1/orders",
        "/apis/apps/v1beta1/deployments",
        "/healthchecks/readyz",
        "/.well-known/openid-configuration",
        "/_search",
        "/oauth2/token",
        "/index.html",
        "/static/jquery-3.6.0.min.js",
        "/fonts/icons.woff2",
        "/@types/node",
        "/grpc.health.v1.Health/Check",
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        "/google.pubsub.v1.Publisher/ListTopicSubscriptions",
        "/api/getUserById",
        "/api/parseHTTPRequest",
        "/rpc/XMLHttpRequest",
        "/docs/Content-Type",
        "/docs/USER_ID",
        "/terms-of-service",
        "/a/b/c",
        "/a/../b/.",
    ] {
        assert_eq!(&*path(p.as_bytes()), p);
    }
    assert_eq!(&*path(b"*"), "*");
}

#[test]
fn identifiers_go() {
    same(&[
        ("/orders/42", "/orders/{id}"),
        ("/orders/42/lines/7", "/orders/{id}/lines/{id}"),
        ("/u/123e4567-e89b-12d3-a456-426614174000/x", "/u/{id}/x"),
        ("/commit/da39a3ee5e6b4b0d3255bfef95601890afd80709", "/commit/{id}"),
        ("/commit/deadbeefcafe", "/commit/{id}"),
        ("/watch/dQw4w9WgXcQ", "/watch/{id}"),
        ("/t/dGhpc2lzYXRlc3Q", "/t/{id}"),
        ("/t/QWxhZGRpbjpPcGVuU2VzYW1l", "/t/{id}"),
        ("/t/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlIQ", "/t/{id}"),
        ("/users/jo@example.org", "/users/{id}"),
        ("/users/jo%40example.org/x", "/users/{id}/x"),
        ("/users/user123", "/users/{id}"),
        ("/log/2024-01-31", "/log/{id}"),
        ("/ip/10.0.0.1", "/ip/{id}"),
        ("/pods/checkout-7d9f8b6c5-x2k4z", "/pods/{id}"),
        ("/v1/things/42:cancel", "/v1/things/{id}:cancel"),
        ("/static/3f2a9bcd11ee.js", "/static/{id}.js"),
        ("/static/main.3f2a9bcd.css", "/static/{id}.css"),
        ("/blog/how-to-bake-a-cake-that-nobody-will-ever-forget", "/blog/{id}"),
        ("/wiki/K%C3%A4se", "/wiki/{id}"),
        ("/x/%00%1b%5b2J", "/x/{id}"),
        ("/x/%", "/x/{id}"),
        ("/g/group%2Fproject", "/g/{id}"),
        ("//a///b", "/a/b"),
    ]);
    assert_eq!(&*path(b"/caf\xe9/\xff\xfe"), "/{id}/{id}");
    assert_eq!(&*path(b"/a\x1b[2Jb"), "/{id}");
}

#[test]
fn nothing_secret_is_left() {
    same(&[
        ("/a?token=hunter2", "/a"),
        ("/?token=hunter2", "/"),
        ("/a#frag", "/a"),
        ("/a;jsessionid=ABC/b;v=1", "/a/b"),
        ("/a%3Btoken=x", "/{id}"),
        ("/a%3ftoken", "/{id}"),
        ("http://user:hunter2@example.com/a/1?b", "/a/{id}"),
        ("http://user:hunter2@example.com", "/"),
        ("http://user:hunter2@example.com?x=/y", "/"),
        ("user:hunter2@example.com/a", "{id}"),
        ("a@b", "{id}"),
        ("", "/"),
    ]);
}

#[test]
fn bounds() {
    let deep = "/ab".repeat(100);
    assert_eq!(&*path(deep.as_bytes()), format!("{}/…", "/ab".repeat(MAX_SEGMENTS)));
    let wide = "/abcdefgh-ij".repeat(12);
    let template = path(wide.as_bytes());
    assert!(template.len() <= MAX_LEN && template.ends_with("/…"), "{template}");
    assert_eq!(&*path(format!("/{}", "a".repeat(100_000)).as_bytes()), "/{id}");
}

#[test]
fn authority_form() {
    assert_eq!(authority(b"example.com:443").as_deref(), Some("example.com:443"));
    assert_eq!(authority(b"[::1]:80").as_deref(), Some("[::1]:80"));
    for bad in
        [&b"user:pw@example.com:443"[..], b"example.com", b"example.com:https", b":1", b"{\"a\":1", b""]
    {
        assert_eq!(authority(bad), None, "{bad:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_make_a_short_printable_template(target in proptest::collection::vec(any::<u8>(), 0..400)) {
        let t = path(&target);
        prop_assert!(t.len() <= MAX_LEN && !t.is_empty());
        prop_assert!(!t.chars().any(|c| c.is_control()));
        prop_assert!(t.bytes().all(|b| b.is_ascii_graphic()) || t.ends_with('…'), "{}", t);
        prop_assert!(!t.contains([';', '?', '#', '%', '=', '&', '\\', '"', '<']), "{}", t);
    }

    #[test]
    fn secrets_never_pass(
        before in "(/[a-z]{1,8}){1,4}",
        mark in "[?;#]",
        secret in "[a-zA-Z0-9=&%.]{6,40}",
    ) {
        let bare = path(before.as_bytes());
        let with = path(format!("{before}{mark}{secret}").as_bytes());
        prop_assert_eq!(bare, with);
    }

    #[test]
    fn what_holds_digits_is_an_identifier(token in "[a-z]{0,4}[0-9]{3,20}[a-z0-9]{0,9}") {
        prop_assert_eq!(&*path(format!("/x/{token}").as_bytes()), "/x/{id}");
    }

    #[test]
    fn templating_a_template_changes_nothing(target in "(/[a-zA-Z0-9._~-]{0,20}){0,6}") {
        let once = path(target.as_bytes());
        prop_assert_eq!(path(once.as_bytes()), once);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, max_shrink_iters: 0, ..ProptestConfig::default() })]
    #[test]
    fn random_tokens_do_not_look_like_words(bytes in proptest::collection::vec(any::<u8>(), 22 * 1000)) {
        const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let shown: Vec<String> = bytes
            .chunks(22)
            .map(|token| token.iter().map(|b| char::from(BASE64URL[usize::from(b % 64)])).collect::<String>())
            .filter(|token| &*path(format!("/{token}").as_bytes()) != "/{id}")
            .collect();
        // Letters alone can be a word to anyone who does not know the language.
        prop_assert!(shown.len() <= 15, "{:?}", shown);
    }
}
