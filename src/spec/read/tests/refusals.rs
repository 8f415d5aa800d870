//! What is refused, and in which words.

use super::{IRIS, SECRET, bad, with_key, with_version};

/// A deployment up to where its version begins.
const IRIS_BARE: &str = "[[deployment]]\nproject = 'demo'\nname = 'iris'\n";
const VERSION: &str = "version.main.backends = [{url = 'http://m'}]\n";

#[test]
fn what_a_deployment_refuses() {
    let long = |n: usize| "x".repeat(n);
    for (text, words) in [
        (
            with_version("version.main.tails = 'some'"),
            "/main/tails: \"some\" is none of any",
        ),
        (
            with_version("version.main.tails = ['']"),
            "/main/tails/0: \"\": is empty",
        ),
        (
            with_version("version.main.tails = [1]"),
            "/tails/0: must be a string, not a whole",
        ),
        (
            with_version("version.main.tails = 7"),
            "/tails: must be a list, not a whole number",
        ),
        (
            with_version("version.main.health_path = '/a?b'"),
            "no query",
        ),
        (
            with_version("version.main.stream_path = '/a/../b'"),
            "no . or .. segments",
        ),
        (
            with_version("version.main.sample = 1"),
            "/version/main/sample: is not known",
        ),
        (
            with_version("version.challenger.sample = 1"),
            "/challenger/backends: is missing",
        ),
        (
            with_version("version.challenger.verdicts = {}"),
            "/challenger/verdicts: is not known",
        ),
        (
            with_version("version.challenger.sample = nan"),
            "must be from 0 to 1",
        ),
        (
            with_version("version.challenger.sample = 1.01"),
            "must be from 0 to 1",
        ),
        (
            with_version("version.challenger.sample = -0.1"),
            "must be from 0 to 1",
        ),
        (
            with_version("version.challenger.sample = '1'"),
            "must be a number, not a string",
        ),
        (
            with_version("version.challenger.concurrency_max = 10001"),
            "from 0 to 10000",
        ),
        (
            with_version("version.challenger.queue_max = 99999999999999999999"),
            "from 0 to 100000",
        ),
        (
            with_version("version.challenger.timeout_ms = 0"),
            "from 1 to 86400000",
        ),
        (
            with_version("version.timeouts.total_ms = 86_400_001"),
            "from 1 to 86400000",
        ),
        (
            with_version("version.timeouts.idle_ms = 1.5"),
            "must be a whole number from 1 to 86400000, without a fraction",
        ),
        (with_version("version.instances = -1"), "from 0 to 100000"),
        (
            with_version("version.parameters = []"),
            "/parameters: must be a table, not a list",
        ),
        (
            with_version("version.parameters.a = [inf]"),
            "/parameters/a/0: must be a finite",
        ),
        (
            with_version("version.parameters.'a/~b' = 99999999999999999999"),
            "/parameters/a~1~0b: does not fit into 64 bits",
        ),
        (
            with_version(&format!("version.parameters.a = '{}'", long(64 << 10))),
            "/parameters: has 65544 bytes as JSON, 65536 are allowed",
        ),
        (
            with_version("version.input_example = {a = [1, 2020-01-01]}"),
            "5:34: /deployment/0/version/input_example/a/1: is a date and time, which JSON has no \
             form for: write it in quotes",
        ),
        (
            with_version("version.output_example = 12:00:00"),
            "/version/output_example: is a date and time",
        ),
        (
            with_version("version.output_example = [nan, 99999999999999999999]"),
            "/version/output_example/0: must be a finite number\n5:32: \
             /deployment/0/version/output_example/1: does not fit into 64 bits",
        ),
        (
            with_version(&format!(
                "version.input_example = '{}'",
                long((64 << 10) - 1)
            )),
            "/input_example: has 65537 bytes as JSON, 65536 are allowed",
        ),
        (
            "[[project]]\nname='a'\n[[project]]\nname='a'\ntenant='b'".into(),
            "3:1: /project/1: a is declared at /project/0 already",
        ),
        (
            "[[tenant]]\nname='a'\n[[tenant]]\nname='a'".into(),
            "3:1: /tenant/1: a is declared at /tenant/0 already",
        ),
        (
            "[[project]]\ntenant='A'\n[[tenant]]\ndescription=1\ntenant='a'".into(),
            "1:1: /project/0/name: is missing",
        ),
        (
            "[[project]]\nname='a'\ntenant='A'".into(),
            "3:8: /project/0/tenant: ",
        ),
        (
            "[[tenant]]\nname='a'\ntenant='a'".into(),
            "3:1: /tenant/0/tenant: is not known",
        ),
        (
            "[project]\nname='a'".into(),
            "/project: must be a list: write [[project]]",
        ),
        (
            with_version("version.labels.a = 1"),
            "/labels/a: must be a string",
        ),
        (
            with_version("version.labels.'' = ''"),
            "a label's name has 1 to 64",
        ),
        (
            with_version("version.model = \"a\\nb\""),
            "/model: must not have line breaks",
        ),
        (
            with_version(&format!("version.image = '{}'", long(513))),
            "is 513 bytes long",
        ),
        (
            with_version(&format!("description = '{}'", long(4097))),
            "4097 bytes long, 4096",
        ),
        (
            with_version(&format!("tags = ['{}']", long(65))),
            "a tag has 1 to 64 characters",
        ),
        (with_version("tags = ['']"), "a tag has 1 to 64 characters"),
        (
            with_version(&format!("tags = [{}]", "'a',".repeat(65))),
            "has 65 items, 64",
        ),
        (
            with_version("keep_previous = 17"),
            "/keep_previous: must be from 0 to 16",
        ),
        (
            with_version("version.readiness.ready_ms = 86_400_001"),
            "/readiness/ready_ms: must be from 0 to 86400000",
        ),
        (
            with_version("version.readiness.unreachable_ms = -1"),
            "/readiness/unreachable_ms: must be from 0 to 86400000",
        ),
        (
            with_version("version.readiness.redy_ms = 1"),
            "/readiness/redy_ms: is not known; did you mean \"ready_ms\"?",
        ),
        (
            with_version("version.warm_up.body = 'x'"),
            "/warm_up/path: is missing",
        ),
        (
            with_version("version.warm_up.path = 'x'"),
            "/warm_up/path: \"x\": a path starts with a single /",
        ),
        (
            with_version("version.warm_up = {path = '/a', method = 'post'}"),
            "/warm_up/method: \"post\" is none of GET, POST",
        ),
        (
            with_version("version.warm_up = {path = '/a', method = 'GET', body = 'x'}"),
            "/warm_up/body: stands beside GET",
        ),
        (
            with_version("version.warm_up = {path = '/a', content_type = \"a\\r\\nb: c\"}"),
            "/warm_up/content_type: a content type is",
        ),
        (
            with_version("version.warm_up = {path = '/a', content_type = ''}"),
            "/warm_up/content_type: must not be empty",
        ),
        (
            with_version("version.warm_up = {path = '/a', expect_status = 600}"),
            "/warm_up/expect_status: must be from 100 to 599",
        ),
        (
            with_version("version.warm_up = {path = '/a', timeout_ms = 0}"),
            "/warm_up/timeout_ms: must be from 1 to 86400000",
        ),
        (
            with_version(&format!(
                "version.warm_up = {{path = '/a', body = '{}'}}",
                long((64 << 10) + 1)
            )),
            "/warm_up/body: is 65537 bytes long, 65536 are allowed",
        ),
        (
            with_version("version.main.tails = ['v1//']"),
            "/main/tails/0: \"v1//\": ends with more than one /",
        ),
        (with_version("version = 1"), "not valid TOML"),
        (
            format!("{IRIS}{IRIS}"),
            "demo/iris is declared at /deployment/0 already",
        ),
        (
            "[deployment]\nname = 'a'".into(),
            "1:1: /deployment: must be a list: write [[deployment]]",
        ),
        (
            "deployment = 1".into(),
            "/deployment: must be a list, not a whole number",
        ),
        (
            "deployment = [1]".into(),
            "/deployment/0: must be a table, not a whole number",
        ),
    ] {
        let shown = bad(&text);
        assert!(shown.contains(words), "{words}\nis not in\n{shown}");
    }
}

#[test]
fn what_a_pool_of_backends_refuses() {
    let many: String = (1..=257)
        .map(|port| format!("{{url='http://m:{port}'}},"))
        .collect();
    for (backends, words) in [
        ("{}", "must be a list, not a table"),
        ("[]", "at least one backend"),
        ("[{}]", "/backends/0/url: is missing"),
        ("['http://m']", "/backends/0: must be a table, not a string"),
        (
            "[{url='http://m', weight=0}]",
            "at least one backend needs a weight above 0",
        ),
        (
            "[{url='http://m', weight=1001}]",
            "/weight: must be from 0 to 1000",
        ),
        (
            "[{url='http://m', weight=-1}]",
            "/weight: must be from 0 to 1000",
        ),
        (
            "[{url='http://m', protocol='h3'}]",
            "\"h3\" is none of http1, h2c, h2",
        ),
        (
            "[{url='http://m', protocol='h2'}]",
            "/backends/0/protocol: \"h2\" is HTTP/2 under TLS",
        ),
        (
            "[{url='https://m', protocol='h2c'}]",
            "/backends/0/protocol: \"h2c\" is HTTP/2 in clear text; at an https address write \"h2\"",
        ),
        (
            "[{url='http://m'}, {url='http://n'}, {url='http://M:80/'}]",
            "/backends/2: http://m stands at /deployment/0/version/main/backends/0 already",
        ),
        (
            "[{url='wss://m'}]",
            "\"wss://m\" is not a backend address: write http://host:port or https://host:port",
        ),
        ("[{url='http://m?a'}]", "no query, fragment or user name"),
        ("[{url='http://m/a/../b'}]", "no . or .. segments"),
        ("[{url=''}]", "/url: must not be empty"),
        (&format!("[{many}]"), "has 257 items, 256 are allowed"),
    ] {
        let shown = bad(&format!(
            "[[deployment]]\nproject='demo'\nname='iris'\nversion.main.backends={backends}"
        ));
        assert!(shown.contains(words), "{words}\nis not in\n{shown}");
        assert_eq!(shown.lines().count(), 1, "{shown}");
    }
    let shown = bad("[[deployment]]\nproject='demo'\nname='iris'\n\
         version.main.backends=[{url='http://me:hunter2@m'}]");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn what_a_key_refuses() {
    let digest = "ab".repeat(32);
    for (text, words) in [
        (
            with_key(&format!("secret='{SECRET}'")),
            "/key/0/scope: is missing",
        ),
        (
            with_key("scope='demo'"),
            "/key/0/secret: is missing; a key has a secret or",
        ),
        (
            with_key(&format!(
                "scope='demo'\nsecret='{SECRET}'\ndigest='{digest}'"
            )),
            "/key/0/digest: stands beside a secret",
        ),
        (
            with_key("scope='demo'\nsecret='short'"),
            "16 to 512 visible ASCII",
        ),
        (
            with_key("scope='demo'\ndigest='abc'"),
            "64 hexadecimal digits",
        ),
        (with_key("scope='a/b/c'"), "/key/0/scope: a scope is"),
        (with_key("scope='Demo'"), "/key/0/scope: a scope is"),
        (with_key("id=''"), "/key/0/id: an id is 1 to 64"),
        (
            with_key(&format!("id='{}'", "a".repeat(65))),
            "/key/0/id: an id is 1 to 64",
        ),
        (with_key("id='a b'"), "/key/0/id: an id is 1 to 64"),
        (
            with_key("may_pin='yes'"),
            "/key/0/may_pin: must be true or false, not a string",
        ),
        (
            with_key("expires_at='tomorrow'"),
            "must be a date and time with its offset",
        ),
        (
            with_key("expires_at=2030-01-01"),
            "must be a date and time with its offset",
        ),
        (
            with_key("expires_at=2030-01-01T00:00:00"),
            "must be a date and time with its offset",
        ),
        (
            with_key("expires_at='2030-01-01T00:00:00Z[UTC]'"),
            "with its offset",
        ),
        (
            with_key("expires_at='1969-12-31T23:59:59Z'"),
            "/key/0/expires_at: lies before 1970",
        ),
        (
            with_key("expires_at=5"),
            "/key/0/expires_at: must be a string, not a whole number",
        ),
        (
            format!(
                "[[key]]\nsecret='{SECRET}'\nscope='a'\n[[key]]\nscope='b'\ndigest='{}'",
                blake3::hash(SECRET.as_bytes())
            ),
            "4:1: /key/1: is the same key as /key/0",
        ),
        (
            format!(
                "[[key]]\nsecret='{SECRET}'\nscope='a'\n[[key]]\nid='k7'\nscope='b'\ndigest='{digest}'"
            ),
            "/key/1: has the same id as /key/0",
        ),
        (
            "[key]\nscope='a'".into(),
            "/key: must be a list: write [[key]]",
        ),
    ] {
        let shown = bad(&text);
        assert!(shown.contains(words), "{words}\nis not in\n{shown}");
    }
}

/// Of a deployment and of a key alike.
#[test]
fn what_limits_refuse() {
    let key = format!("secret='{SECRET}'\nscope='demo'\n");
    let with_key = |inner: &str| with_key(&format!("{key}{inner}"));
    for (limits, words) in [
        ("limits = 5", "limits: must be a table, not a whole number"),
        (
            "limits = {requests_per_second = 0}",
            "limits/requests_per_second: must be from 0.001 to 1000000",
        ),
        (
            "limits = {requests_per_second = 1000000.1}",
            "limits/requests_per_second: must be from 0.001 to 1000000",
        ),
        (
            "limits = {requests_per_second = nan}",
            "limits/requests_per_second: must be from 0.001 to 1000000",
        ),
        (
            "limits = {requests_per_second = '5'}",
            "limits/requests_per_second: must be a number, not a string",
        ),
        (
            "limits = {burst = 5}",
            "limits/burst: is how many requests may come at once within a rate: it needs \
             requests_per_second beside it",
        ),
        (
            "limits = {requests_per_second = 1, burst = 0}",
            "limits/burst: must be from 1 to 1000000",
        ),
        (
            "limits = {requests_per_second = 1, burst = 1000001}",
            "limits/burst: must be from 1 to 1000000",
        ),
        (
            "limits = {concurrency_max = 0}",
            "limits/concurrency_max: must be from 1 to 1000000",
        ),
        (
            "limits = {bytes_per_second = 1099511627777}",
            "limits/bytes_per_second: must be from 1 to 1099511627776",
        ),
        (
            "limits = {requests_per_day = 1000000000001}",
            "limits/requests_per_day: must be from 1 to 1000000000000",
        ),
        (
            "limits = {request_per_second = 1}",
            "limits/request_per_second: is not known; did you mean \"requests_per_second\"?",
        ),
    ] {
        for shown in [
            bad(&format!("{IRIS_BARE}{limits}\n{VERSION}")),
            bad(&with_key(limits)),
        ] {
            assert!(shown.contains(words), "{words}\nis not in\n{shown}");
            assert_eq!(shown.lines().count(), 1, "{shown}");
        }
    }
    for (text, words) in [
        (
            format!("{IRIS_BARE}limits = {{mode = 'off'}}\n{VERSION}"),
            "/deployment/0/limits/mode: \"off\" is none of enforce, count",
        ),
        (
            with_key("limits = {mode = 'off'}"),
            "/key/0/limits/mode: this is none of enforce, count",
        ),
        (
            with_key("priority = 'high'"),
            "/key/0/priority: this is none of interactive, default, bulk",
        ),
        (with_key("overload = {}"), "/key/0/overload: is not known"),
        (
            format!("{IRIS_BARE}priority = 'bulk'\n{VERSION}"),
            "/deployment/0/priority: is not known",
        ),
    ] {
        let shown = bad(&text);
        assert!(shown.contains(words), "{words}\nis not in\n{shown}");
    }
    // Every mistake at once.
    let shown = bad(&format!(
        "{IRIS_BARE}limits = {{burst = 0, concurrency_max = 'x', limit = 1}}\n\
         overload = {{queue_max = -1, queue_timeout_ms = 0}}\n{VERSION}"
    ));
    assert_eq!(shown.lines().count(), 6, "{shown}");
}

#[test]
fn what_an_overload_refuses() {
    for (overload, words) in [
        ("true", "/overload: must be a table, not true or false"),
        (
            "{concurrency_max = 0}",
            "/concurrency_max: must be from 1 to 100000",
        ),
        (
            "{concurrency_max = 100001}",
            "/concurrency_max: must be from 1 to 100000",
        ),
        (
            "{concurrency_min = 0}",
            "/concurrency_min: must be from 1 to 100000",
        ),
        (
            "{concurrency_min = 257}",
            "/concurrency_min: must not be above concurrency_max, which is 256",
        ),
        (
            "{concurrency_max = 8, concurrency_min = 9}",
            "/concurrency_min: must not be above concurrency_max, which is 8",
        ),
        (
            "{queue_max = 100001}",
            "/queue_max: must be from 0 to 100000",
        ),
        (
            "{queue_timeout_ms = 0}",
            "/queue_timeout_ms: must be from 1 to 86400000",
        ),
        (
            "{queue_timeout_ms = 86400001}",
            "/queue_timeout_ms: must be from 1 to 86400000",
        ),
        (
            "{adaptive = 1}",
            "/adaptive: must be true or false, not a whole number",
        ),
        (
            "{concurency_max = 8}",
            "/overload/concurency_max: is not known; did you mean \"concurrency_max\"?",
        ),
    ] {
        let shown = bad(&format!("{IRIS_BARE}overload = {overload}\n{VERSION}"));
        assert!(shown.contains(words), "{words}\nis not in\n{shown}");
        assert_eq!(shown.lines().count(), 1, "{shown}");
    }
}

/// Wherever a key's secret slips to, no mistake repeats it.
#[test]
fn no_mistake_shows_a_key() {
    for text in [
        with_key(&format!("secret = {SECRET}")),
        with_key(&format!("secret = '{SECRET}")),
        with_key(&format!("secret '{SECRET}'")),
        with_key(&format!("secret = \"{SECRET}\\q\"")),
        with_key(&format!("secret = '{SECRET}' '{SECRET}'")),
        with_key(&format!("secret = ['{SECRET}']")),
        with_key(&format!("secret = {{ {SECRET} = 1 }}")),
        with_key(&format!("secret = ' {SECRET}'")),
        with_key(&format!("secrets = '{SECRET}'")),
        with_key(&format!("digest = '{SECRET}'")),
        with_key(&format!("scope = '{SECRET}'")),
        with_key(&format!("id = '{SECRET}!'")),
        with_key(&format!("may_pin = '{SECRET}'")),
        with_key(&format!("expires_at = '{SECRET}'")),
        with_key(&format!("description = ['{SECRET}']")),
        with_key(&format!("priority = '{SECRET}'")),
        with_key(&format!("limits = '{SECRET}'")),
        with_key(&format!("limits = {{{SECRET} = 1}}")),
        with_key(&format!("limits = {{mode = '{SECRET}'}}")),
        with_key(&format!("limits = {{burst = '{SECRET}'}}")),
        with_key(&format!("{SECRET} = 1")),
        with_key(&format!("{SECRET}.a = 1")),
        with_key(&format!("secret = 'x'\n{SECRET} = 1\n{SECRET} = 1")),
        format!("key = '{SECRET}'"),
        format!("key = ['{SECRET}']"),
        format!("secret = '{SECRET}'"),
    ] {
        bad(&text);
    }
}
