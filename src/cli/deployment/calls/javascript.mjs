// JavaScript: predict
(async () => {
  const response = await fetch("{{predict_url}}", {
    method: "POST",
    headers: {
      "Authorization": `Bearer ${process.env.WEIR_API_KEY}`,
      "Content-Type": "application/json",
    },
    body: JSON.stringify({{input}}),
  });
  console.log(await response.text());
  if (!response.ok) throw new Error(`answered ${response.status}`);
})();

// JavaScript: stream
(async () => {
  const response = await fetch("{{stream_url}}", {
    method: "POST",
    headers: {
      "Authorization": `Bearer ${process.env.WEIR_API_KEY}`,
      "Content-Type": "application/json",
    },
    body: JSON.stringify({{input}}),
  });
  const text = response.body.pipeThrough(new TextDecoderStream());
  let rest = "";
  for await (const piece of text) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop();
    for (const line of lines) console.log(line);
  }
  if (rest) console.log(rest);
  if (!response.ok) throw new Error(`answered ${response.status}`);
})();

// JavaScript: async
(async () => {
  const headers = {
    "Authorization": `Bearer ${process.env.WEIR_API_KEY}`,
    "Content-Type": "application/json",
  };
  // Submit: the answer comes at once, with an id.
  const submission = await fetch("{{predict_url}}", {
    method: "POST",
    headers: { ...headers, "X-Async-Request": "true" },
    body: JSON.stringify({{input}}),
  });
  if (!submission.ok) throw new Error(await submission.text());
  let { id, status } = await submission.json();
  // Wait for its end: up to 60 s in each call.
  const url = `{{data_url}}/async/${id}`;
  while (status === "queued" || status === "running") {
    const look = await fetch(`${url}?wait=60`, { headers });
    if (!look.ok) throw new Error(await look.text());
    ({ status } = await look.json());
  }
  // Fetch the model's own answer.
  const result = await fetch(`${url}/result`, { headers });
  console.log(await result.text());
  if (!result.ok) throw new Error(`answered ${result.status}`);
})();
