// What a CRM in TypeScript does with the types that are made of /openapi.json.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

declare const process: { argv: string[] };

type Message = components["schemas"]["Message"];

const [, , root = "", key = ""] = process.argv;
const api = createClient<paths>({ baseUrl: root + "/api/v1", headers: { Authorization: "Bearer " + key } });

function must<T>(answer: { data?: T; error?: components["schemas"]["Problem"]; response: Response }): T {
  if (answer.data === undefined) throw new Error(answer.error?.code + ": " + answer.error?.detail);
  return answer.data;
}

const list = must(await api.GET("/conversations", { params: { query: { state: "menu", limit: 1 } } }));
const conversation = list.items[0];
if (!conversation) throw new Error("nobody wrote");

async function say(text: string): Promise<Message> {
  return must(await api.POST("/conversations/{id}/messages", {
    params: { path: { id: conversation!.id }, header: { "Idempotency-Key": "tsc-1" } },
    body: { type: "text", text: { body: text } },
  }));
}
const first = await say("Hola, soy Ana");
const again = await say("Hola, soy Ana");
if (first.id !== again.id) throw new Error("said twice");

const refused = await api.POST("/messages", { body: { line: "wsp4", phone: "+54 9 11 5555 6666", type: "text", text: { body: "hola" } } });
if (refused.error?.code !== "window_closed") throw new Error("not refused: " + JSON.stringify(refused.error));

must(await api.POST("/messages", {
  body: { line: "wsp4", phone: "+54 9 11 5555 6666", type: "template", template: { name: "hola", language: { code: "es_AR" } } },
}));
const moved = must(await api.POST("/conversations/{id}/handoff", { params: { path: { id: conversation.id } }, body: { area: "ventas" } }));
if (moved.area !== "ventas") throw new Error("handed to " + moved.area);

const events = must(await api.GET("/events", { params: { query: { after: 0 } } }));
const last: number = events.pos;

// @ts-expect-error there is no such type
void (() => api.POST("/messages", { body: { line: "wsp4", type: "fax" } }));
// @ts-expect-error there is no such path
void (() => api.GET("/conversation"));

console.log("fine", last >= 0);
