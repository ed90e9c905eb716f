// Asks the same of one base URL in every way a program does, and prints as JSON what the SDK saw.
import OpenAI from "openai";

const { BASE_URL, API_KEY, LECTR_KEY, FEATURE } = process.env;
const client = new OpenAI({
  baseURL: BASE_URL,
  apiKey: API_KEY,
  maxRetries: 0,
  defaultHeaders: LECTR_KEY ? { "X-Lectr-Key": LECTR_KEY, "X-Lectr-Feature": FEATURE } : {},
});
const messages = [{ role: "user", content: "Where is my order?" }];
const weather = { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } };

async function all(stream) {
  const seen = [];
  for await (const event of await stream) seen.push(event);
  return seen;
}

async function error(call) {
  try {
    await call;
  } catch (raised) {
    return { class: raised.constructor.name, status: raised.status, code: raised.code, message: raised.message };
  }
  throw new Error("no error was raised");
}

const chat = (more) => client.chat.completions.create({ model: "gpt-4o", messages, ...more });
const seen = {
  chat: await chat({}),
  stream: await all(chat({ stream: true })),
  usage: await all(chat({ stream: true, stream_options: { include_usage: true } })),
  tool: await chat({ tools: [{ type: "function", function: weather }] }),
  response: await client.responses.create({ model: "gpt-4o", input: "Where is my order?" }),
  events: await all(client.responses.create({ model: "gpt-4o", input: "Where is my order?", stream: true })),
  embedding: await client.embeddings.create({ model: "text-embedding-3-small", input: "a", dimensions: 8 }),
  limited: await error(chat({ model: "gpt-error-429" })),
  failed: await error(chat({ model: "gpt-error-500", stream: true })),
};
process.stdout.write(JSON.stringify(seen));
