//! `check_head`: what does the strict look at each request's head cost, beside the parser that hyper
//! runs over the same bytes? `follow_request` is the same with a small body behind it, as a connection
//! does it.

use std::hint::black_box;

use criterion::Criterion;
use weir::wire::h1::{Checked, Follower, check};

/// A usual one.
const HEAD: &[u8] = b"POST /predict/demo/iris HTTP/1.1\r\n\
    Host: gateway.example:8080\r\n\
    User-Agent: python-requests/2.32\r\n\
    Accept-Encoding: gzip, deflate\r\n\
    Accept: */*\r\n\
    Connection: keep-alive\r\n\
    X-API-Key: wk_k0000001_0123456789abcdefghijklmnopqr\r\n\
    Content-Type: application/json\r\n\
    Content-Length: 27\r\n\r\n";
const BODY: &[u8] = b"{\"a\":[5.1,3.5,1.4,0.2,1.0]}";

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("check_head");
    group.bench_function("strict", |b| {
        assert!(matches!(check(HEAD), Checked::Complete { .. }));
        b.iter(|| check(black_box(HEAD)));
    });
    group.bench_function("httparse", |b| {
        b.iter(|| {
            let mut slots = [httparse::EMPTY_HEADER; 100];
            let mut request = httparse::Request::new(&mut slots);
            request.parse(black_box(HEAD)).is_ok()
        });
    });
    group.bench_function("follow_request", |b| {
        let request = [HEAD, BODY].concat();
        let mut follower = Follower::new(64 * 1024);
        b.iter(|| follower.follow(black_box(&request)));
    });
    group.finish();
}
