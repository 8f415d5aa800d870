# cURL: predict
curl -sS --fail-with-body '{{predict_url}}' \
  -H "Authorization: Bearer $WEIR_API_KEY" \
  -H 'Content-Type: application/json' \
  --data-raw '{{input}}'

# cURL: stream
curl -sSN --fail-with-body '{{stream_url}}' \
  -H "Authorization: Bearer $WEIR_API_KEY" \
  -H 'Content-Type: application/json' \
  --data-raw '{{input}}'

# cURL: async
(
  # Submit: the answer comes at once, with an id.
  submitted=$(curl -sS --fail-with-body '{{predict_url}}' \
    -H "Authorization: Bearer $WEIR_API_KEY" \
    -H 'Content-Type: application/json' \
    -H 'X-Async-Request: true' \
    --data-raw '{{input}}') ||
    { printf '%s\n' "$submitted" >&2; exit 1; }
  id=$(printf '%s\n' "$submitted" | sed -n 's/.*"id": *"\([^"]*\)".*/\1/p')
  # Wait for its end: up to 60 s in each call.
  while curl -sS '{{data_url}}/async/'"$id?wait=60" \
    -H "Authorization: Bearer $WEIR_API_KEY" |
    grep -Eq '"status": *"(queued|running)"'; do :; done
  # Fetch the model's own answer.
  curl -sS --fail-with-body '{{data_url}}/async/'"$id/result" \
    -H "Authorization: Bearer $WEIR_API_KEY"
)
