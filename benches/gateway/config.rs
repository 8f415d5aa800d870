//! The same work in each proxy's own words: 10,000 keys, 100 deployments with a pool each, kept-alive
//! connections on both sides, no access log, the key not passed on, streams not gathered.

use std::fmt::Write;

use crate::common::wire::{Scale, deployment, key};

/// What becomes of a copy of each predict request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copies {
    /// There is none.
    None,
    /// It is sent, and its answer compared if weir does that by itself.
    Made,
    /// It is sent, and its answer compared with main's as JSON. Only weir does it.
    Compared,
}

/// What the proxies are to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    /// What becomes of copies.
    pub(crate) copies: Copies,
    /// How much they have to know.
    pub(crate) scale: Scale,
    /// Whether clients come under TLS, with the certificate in the directory.
    pub(crate) tls: bool,
}

impl Work {
    /// The usual, and `copies`.
    pub(crate) const fn usual(copies: Copies) -> Self {
        Self {
            copies,
            scale: Scale::USUAL,
            tls: false,
        }
    }
}

/// nginx: one process, which is master and worker in one.
pub(crate) fn nginx(port: u16, model: u16, dir: &str, work: Work) -> String {
    let Work { copies, scale, tls } = work;
    let (listen, certificate) = match tls {
        false => ("", String::new()),
        true => (
            " ssl",
            format!(
                "    ssl_certificate {dir}/cert.pem;\n    ssl_certificate_key {dir}/key.pem;\n    \
                 ssl_protocols TLSv1.3;\n    ssl_session_cache shared:tls:10m;\n"
            ),
        ),
    };
    let mut keys = String::new();
    let mut pools = String::new();
    let mut places = String::new();
    for index in 0..scale.keys {
        put(&mut keys, format_args!("    \"{}\" 1;\n", key(index)));
    }
    for name in (0..scale.deployments).map(deployment) {
        put(
            &mut pools,
            format_args!(
                "  upstream {name} {{ server 127.0.0.1:{model}; keepalive 64; \
                 keepalive_requests 1000000000; keepalive_timeout 3600s; }}\n"
            ),
        );
        let mirror = if copies != Copies::None {
            put(
                &mut places,
                format_args!(
                    "    location = /mirror/{name} {{ internal; proxy_pass http://{name}/challenger; }}\n"
                ),
            );
            format!(" mirror /mirror/{name}; mirror_request_body on;")
        } else {
            String::new()
        };
        put(
            &mut places,
            format_args!(
                "    location = /predict/bench/{name} {{ proxy_pass http://{name}/predict;{mirror} }}\n    \
                 location = /stream/bench/{name} {{ proxy_pass http://{name}/stream; proxy_buffering off; }}\n"
            ),
        );
    }
    format!(
        r#"daemon off;
master_process off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; use epoll; }}
http {{
  access_log off;
  tcp_nodelay on;
  keepalive_timeout 3600s;
  keepalive_requests 1000000000;
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  map_hash_max_size 65536;
  map_hash_bucket_size 128;
  map $http_x_api_key $known {{
    default 0;
{keys}  }}
{pools}  server {{
    listen 127.0.0.1:{port}{listen} backlog=1024;
{certificate}    if ($known = 0) {{ return 401; }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header X-API-Key "";
{places}  }}
}}
"#
    )
}

/// HAProxy: its configuration, its list of keys and its map of paths.
pub(crate) fn haproxy(port: u16, model: u16, dir: &str, work: Work) -> [(&'static str, String); 3] {
    let Work { scale, tls, .. } = work;
    let certificate = match tls {
        false => String::new(),
        true => format!(" ssl crt {dir}/both.pem ssl-min-ver TLSv1.3"),
    };
    let mut keys = String::new();
    let mut routes = String::new();
    let mut pools = String::new();
    for index in 0..scale.keys {
        put(&mut keys, format_args!("{}\n", key(index)));
    }
    for name in (0..scale.deployments).map(deployment) {
        for plane in ["predict", "stream"] {
            put(
                &mut routes,
                format_args!("/{plane}/bench/{name} {plane}-{name}\n"),
            );
            // Without it HAProxy may wait for more of a chunked body before it sends.
            let option = if plane == "stream" {
                "  option http-no-delay\n"
            } else {
                ""
            };
            put(
                &mut pools,
                format_args!(
                    "backend {plane}-{name}\n{option}  http-request set-path /{plane}\n  \
                     server model 127.0.0.1:{model}\n"
                ),
            );
        }
    }
    let main = format!(
        r"global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout http-request 10s
  timeout http-keep-alive 3600s
  option http-keep-alive
  http-reuse always
frontend clients
  bind 127.0.0.1:{port}{certificate} backlog 1024
  http-request deny deny_status 401 unless {{ req.hdr(x-api-key) -f {dir}/keys.lst }}
  http-request del-header x-api-key
  use_backend %[path,map_str({dir}/routes.map)]
{pools}"
    );
    [
        ("haproxy.cfg", main),
        ("keys.lst", keys),
        ("routes.map", routes),
    ]
}

/// weir: its declarations. Everything else, limits, health probes and metrics included, stays as
/// it is by default.
pub(crate) fn weir(model: u16, work: Work) -> String {
    let Work { copies, scale, .. } = work;
    let mut text = String::new();
    for name in (0..scale.deployments).map(deployment) {
        put(
            &mut text,
            format_args!(
                "[[deployment]]\nproject = \"bench\"\nname = \"{name}\"\n\
                 [deployment.version.main]\nbackends = [{{ url = \"http://127.0.0.1:{model}\" }}]\n"
            ),
        );
        if copies != Copies::None {
            put(
                &mut text,
                format_args!(
                    "[deployment.version.challenger]\nbackends = [{{ url = \"http://127.0.0.1:{model}\" }}]\n\
                     predict_path = \"/challenger\"\nsample = 1.0\n"
                ),
            );
        }
        // A weir from before there was a comparison takes no such table.
        if copies == Copies::Compared {
            text.push_str("[deployment.version.challenger.compare]\nkind = \"json\"\n");
        }
    }
    for index in 0..scale.keys {
        let digest = blake3::hash(key(index).as_bytes()).to_hex();
        put(
            &mut text,
            format_args!("[[key]]\ndigest = \"{digest}\"\nscope = \"bench\"\n"),
        );
    }
    text
}

fn put(text: &mut String, args: std::fmt::Arguments<'_>) {
    // Writing to a string can't fail.
    let _ = text.write_fmt(args);
}
