// SPDX-License-Identifier: GPL-3.0-only
//
// How InfluxData's own client writes names: a second opinion. Reads a JSON array of names on standard input, and
// writes for each how it stands as a tag's value and as a string field.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const { escape } = createRequire(process.argv[2] + "/")("@influxdata/influxdb-client");
const names = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(names.map((name) => [escape.tag(name), escape.quoted(name)])));
