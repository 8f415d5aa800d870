//! `/api/reference`: the description as a page for people, rendered here from the document. It has no
//! script, and nothing in it comes from elsewhere.

use std::fmt::Write as _;

use axum::{
    Router,
    extract::State,
    http::header,
    response::{IntoResponse, Redirect},
    routing::get,
};
use serde_json::Value;

use super::Shared;

/// Only the page's own style: its text comes from the document, which comes from the code.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--dim:#777}\
*{box-sizing:border-box}body{font:16px/1.5 system-ui,sans-serif;margin:0;display:flex}\
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1rem;width:19rem;flex:none;\
border-right:1px solid var(--line);font-size:.85rem}\
nav ul{list-style:none;padding:0 0 0 .5rem;margin:.2rem 0 .8rem}nav a{text-decoration:none}\
main{padding:1rem 2rem 6rem;max-width:62rem;min-width:0;flex:1}\
code,pre{font:.85em/1.45 ui-monospace,monospace}\
pre{padding:.7rem;border:1px solid var(--line);border-radius:.3rem;overflow:auto}\
section{border-top:1px solid var(--line);margin-top:1.5rem;padding-top:.5rem}\
h3{margin:.3rem 0}h3 code{font-size:1em}.verb{font-weight:700;text-transform:uppercase}\
table{border-collapse:collapse;width:100%;margin:.5rem 0}\
td,th{text-align:left;vertical-align:top;padding:.25rem .6rem .25rem 0;\
border-bottom:1px solid var(--line)}th{font-weight:600;color:var(--dim);font-size:.85rem}\
.dim{color:var(--dim)}\
@media(max-width:52rem){body{display:block}nav{position:static;height:auto;width:auto;\
border:0}main{padding:1rem}}";

/// Its routes. `/api` leads to it.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/reference", get(read))
        .route("/api", get(|| async { Redirect::to("/api/reference") }))
        .route("/api/", get(|| async { Redirect::to("/api/reference") }))
}

async fn read(State(plane): State<Shared>) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, plane.documents().html.clone())
}

/// Renders a document.
pub(super) fn render(document: &Value) -> String {
    let mut page = Page {
        html: String::new(),
        document,
    };
    page.whole();
    page.html
}

/// A page that is being written.
struct Page<'d> {
    html: String,
    document: &'d Value,
}

/// An operation and where it stands.
struct Entry<'d> {
    path: &'d str,
    method: &'d str,
    value: &'d Value,
}

// === impl Page ===

impl<'d> Page<'d> {
    /// Writing to a string can't fail.
    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        let _ = self.html.write_fmt(text);
    }

    fn whole(&mut self) {
        self.put(format_args!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\">\
             <title>weir: admin API</title><style>{STYLE}</style></head><body>"
        ));
        let tags = list(&self.document["tags"]);
        self.contents(tags);
        let info = &self.document["info"];
        self.put(format_args!(
            "<main><h1>weir: admin API <span class=\"dim\">{}</span></h1>",
            escape(text(&info["version"]))
        ));
        self.prose(text(&info["description"]));
        self.put(format_args!(
            "<p>For programs: <a href=\"/api/openapi.json\">openapi.json</a>.</p>"
        ));
        for tag in tags {
            let name = text(&tag["name"]);
            self.put(format_args!(
                "<h2 id=\"{0}\">{0}</h2><p>{1}.</p>",
                escape(name),
                escape(text(&tag["description"]))
            ));
            for entry in entries(self.document, name) {
                self.operation(&entry);
            }
        }
        self.schemas();
        self.put(format_args!("</main></body></html>\n"));
    }

    fn contents(&mut self, tags: &'d [Value]) {
        self.put(format_args!(
            "<nav aria-label=\"Contents\"><strong>weir</strong><ul>"
        ));
        for tag in tags {
            let name = text(&tag["name"]);
            self.put(format_args!(
                "<li><a href=\"#{0}\">{0}</a><ul>",
                escape(name)
            ));
            for entry in entries(self.document, name) {
                self.put(format_args!(
                    "<li><a href=\"#{}\">{}</a></li>",
                    escape(entry.id()),
                    escape(text(&entry.value["summary"]))
                ));
            }
            self.put(format_args!("</ul></li>"));
        }
        self.put(format_args!(
            "<li><a href=\"#schemas\">schemas</a></li></ul></nav>"
        ));
    }

    fn operation(&mut self, entry: &Entry<'d>) {
        self.put(format_args!(
            "<section id=\"{}\"><h3><code><span class=\"verb\">{}</span> {}</code></h3>",
            escape(entry.id()),
            escape(entry.method),
            escape(entry.path)
        ));
        self.prose(text(&entry.value["summary"]));
        self.prose(text(&entry.value["description"]));
        let parameters = list(&entry.value["parameters"]);
        if !parameters.is_empty() {
            self.put(format_args!(
                "<table><tr><th>parameter</th><th>in</th><th>what</th></tr>"
            ));
            for parameter in parameters {
                self.put(format_args!(
                    "<tr><td><code>{}</code></td><td>{}</td><td>{} <span class=\"dim\">{}</span>\
                     </td></tr>",
                    escape(text(&parameter["name"])),
                    escape(text(&parameter["in"])),
                    marked(text(&parameter["description"])),
                    escape(&kind(&parameter["schema"]))
                ));
            }
            self.put(format_args!("</table>"));
        }
        for (media, content) in members(&entry.value["requestBody"]["content"]) {
            self.put(format_args!("<p>Body: {}</p>", of_media(media, content)));
        }
        self.put(format_args!("<table><tr><th>status</th><th>what</th></tr>"));
        for (status, response) in members(&entry.value["responses"]) {
            let response = self.resolve(response);
            let bodies: Vec<_> = members(&response["content"])
                .map(|(media, content)| of_media(media, content))
                .collect();
            self.put(format_args!(
                "<tr><td><code>{}</code></td><td>{} {}</td></tr>",
                escape(status),
                marked(text(&response["description"])),
                bodies.join(", ")
            ));
        }
        self.put(format_args!("</table></section>"));
    }

    fn schemas(&mut self) {
        self.put(format_args!("<h2 id=\"schemas\">schemas</h2>"));
        for (name, schema) in members(&self.document["components"]["schemas"]) {
            self.put(format_args!(
                "<section id=\"schema-{0}\"><h3>{0}</h3>",
                escape(name)
            ));
            self.prose(text(&schema["description"]));
            let required = list(&schema["required"]);
            let parts = list(&schema["allOf"]).iter().chain([schema]);
            let mut properties = parts
                .flat_map(|part| members(&part["properties"]))
                .peekable();
            if properties.peek().is_none() {
                self.put(format_args!("<p class=\"dim\">{}</p>", linked(schema)));
            } else {
                self.put(format_args!(
                    "<table><tr><th>member</th><th>type</th><th>what</th></tr>"
                ));
                for (member, own) in properties {
                    let star = if required.iter().any(|name| name == member) {
                        "*"
                    } else {
                        ""
                    };
                    self.put(format_args!(
                        "<tr><td><code>{}</code>{star}</td><td class=\"dim\">{}</td><td>{}</td></tr>",
                        escape(member),
                        linked(own),
                        marked(text(&own["description"]))
                    ));
                }
                self.put(format_args!("</table>"));
            }
            if let Some(example) = schema.get("example") {
                let shown = serde_json::to_string_pretty(example).unwrap_or_default();
                self.put(format_args!("<pre>{}</pre>", escape(&shown)));
            }
            self.put(format_args!("</section>"));
        }
    }

    fn prose(&mut self, words: &str) {
        for paragraph in words.split("\n\n").filter(|words| !words.is_empty()) {
            self.put(format_args!("<p>{}</p>", marked(paragraph)));
        }
    }

    /// What a `$ref` leads to.
    fn resolve(&self, value: &'d Value) -> &'d Value {
        let pointer = text(&value["$ref"]).strip_prefix('#');
        let found = pointer
            .filter(|p| !p.is_empty())
            .and_then(|p| self.document.pointer(p));
        found.unwrap_or(value)
    }
}

// === impl Entry ===

impl<'d> Entry<'d> {
    fn id(&self) -> &'d str {
        text(&self.value["operationId"])
    }
}

fn entries<'d>(document: &'d Value, tag: &'d str) -> impl Iterator<Item = Entry<'d>> {
    members(&document["paths"]).flat_map(move |(path, item)| {
        members(item)
            .filter(move |(_, value)| list(&value["tags"]).iter().any(|own| own == tag))
            .map(move |(method, value)| Entry {
                path,
                method,
                value,
            })
    })
}

fn of_media(media: &str, content: &Value) -> String {
    format!(
        "<code>{}</code> {}",
        escape(media),
        linked(&content["schema"])
    )
}

/// A schema in a few words, with a link where it has a name.
fn linked(schema: &Value) -> String {
    if let Some(name) = text(&schema["$ref"])
        .rsplit('/')
        .next()
        .filter(|name| !name.is_empty())
    {
        return format!("<a href=\"#schema-{0}\">{0}</a>", escape(name));
    }
    for (key, joint) in [("oneOf", " or "), ("anyOf", " or "), ("allOf", " and ")] {
        let kinds: Vec<_> = list(&schema[key])
            .iter()
            .map(linked)
            .filter(|kind| !kind.is_empty())
            .collect();
        if !kinds.is_empty() && schema.get("properties").is_none() {
            return kinds.join(joint);
        }
    }
    if let Some(items) = schema.get("items") {
        return format!("{} of {}", escape(&kind(schema)), linked(items));
    }
    escape(&kind(schema))
}

/// A schema's type and limits.
fn kind(schema: &Value) -> String {
    let mut words = match &schema["type"] {
        Value::String(one) => vec![one.clone()],
        Value::Array(several) => {
            let several: Vec<_> = several.iter().map(text).collect();
            vec![several.join(" or ")]
        }
        _ => Vec::new(),
    };
    if let Some(all) = schema["enum"].as_array() {
        let all: Vec<_> = all
            .iter()
            .map(text)
            .filter(|word| !word.is_empty())
            .collect();
        words.push(all.join(" | "));
    }
    for key in [
        "format",
        "pattern",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "default",
    ] {
        match &schema[key] {
            Value::Null => {}
            Value::String(value) => words.push(format!("{key} {value}")),
            value => words.push(format!("{key} {value}")),
        }
    }
    words.join(", ")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let members = value.as_object().into_iter().flatten();
    members.map(|(name, value)| (name.as_str(), value))
}

/// Text with what stands in back ticks as code.
fn marked(words: &str) -> String {
    let mut shown = String::new();
    for (i, part) in words.split('`').enumerate() {
        if i % 2 == 1 {
            let _ = write!(shown, "<code>{}</code>", escape(part));
        } else {
            shown.push_str(&escape(part));
        }
    }
    shown
}

fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '"' => shown.push_str("&quot;"),
            '\'' => shown.push_str("&#39;"),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_document_says_is_text_and_nothing_else() {
        let evil = "<script>alert('x')</script>\"&";
        let document = json!({
            "info": {"version": evil, "description": evil},
            "tags": [{"name": evil, "description": evil}],
            "paths": {"/a": {"get": {"tags": [evil], "operationId": evil, "summary": evil,
                "description": format!("`{evil}`"),
                "parameters": [{"name": evil, "in": evil, "description": evil,
                    "schema": {"type": "string", "pattern": evil}}],
                "responses": {"200": {"description": evil}}}}},
            "components": {"schemas": {"A": {"description": evil, "example": {"a": evil},
                "properties": {"b": {"description": evil, "$ref": evil}}}}},
        });
        let page = render(&document);
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains("alert('"), "{page}");
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_shows_every_operation() {
        let document = crate::admin::openapi::document();
        let page = render(&document);
        for absent in ["<script", "<link", "<img", "src=", "@import", "url("] {
            assert!(!page.contains(absent), "{absent}");
        }
        let mut count = 0;
        for (_, item) in members(&document["paths"]) {
            for (_, operation) in members(item) {
                let id = text(&operation["operationId"]);
                assert!(page.contains(&format!("<section id=\"{id}\">")), "{id}");
                assert!(page.contains(&format!("<a href=\"#{id}\">")), "{id}");
                count += 1;
            }
        }
        assert!(count > 40, "{count}");
    }
}
