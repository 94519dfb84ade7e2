-- The script of wrk: reads its requests from a file, one in each line, and prints counts of the answers at the end.
--
-- A line is PATH <tab> BODY [<tab> BODY ...]; an empty body makes it a GET. Each thread has its own lines (all lines, if
-- there are fewer lines than threads) and sends them in order: the first body in pass 1, the second in pass 2, and so
-- on, starting again after the last. After `seconds`, or after `passes`, it sends no more requests that count, waits for
-- the open answers, and stops. So every request that reached the service is counted.
--
-- Arguments: FILE SECONDS PASSES THREADS (PASSES 0: no limit). The token is in the environment: BENCH_TOKEN.

local ffi = require("ffi")
ffi.cdef("typedef struct { long seconds; long micros; } bench_time; int gettimeofday(bench_time *at, void *zone);")
local clock = ffi.new("bench_time")

local IDLE = "/healthz"
local IDLE_ANSWER = '{"status":"ok"}'
local threads = {}

local function now()
  ffi.C.gettimeofday(clock, nil)
  return tonumber(clock.seconds) + tonumber(clock.micros) / 1e6
end

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

local function split(line)
  local parts = {}
  for part in (line .. "\t"):gmatch("([^\t]*)\t") do table.insert(parts, part) end
  return parts
end

local requests, position, pass, idle = {}, 0, 1, nil
local inspected, counts_idle = false, false

function init(args)
  seconds, passes = tonumber(args[2]), tonumber(args[3])
  local lines, amount = {}, tonumber(args[4])
  for line in io.lines(args[1]) do table.insert(lines, line) end
  local headers = {["Authorization"] = "Bearer " .. os.getenv("BENCH_TOKEN"), ["Content-Type"] = "application/json"}
  local share = #lines >= amount and amount or 1
  for index, line in ipairs(lines) do
    if share == 1 or index % share == number then
      local parts, made = split(line), {}
      for body = 2, #parts do
        local method = parts[body] == "" and "GET" or "POST"
        table.insert(made, wrk.format(method, parts[1], headers, parts[body] ~= "" and parts[body] or nil))
      end
      table.insert(requests, made)
      counts_idle = counts_idle or parts[1] == IDLE
    end
  end
  idle = wrk.format("GET", IDLE, {})
  sent, answered, done_well, queued, other, example, first_at, last_at, ended = 0, 0, 0, 0, 0, "", 0, 0, 0
end

function request()
  if number == 0 and not inspected then
    inspected = true  -- at the start, wrk takes one request of thread 0 to inspect it, and does not send it
    return idle
  end
  local at = now()
  if first_at == 0 then first_at = at end
  if ended == 1 or at >= first_at + seconds then
    ended = 1
    return idle
  end
  position = position + 1
  if position > #requests then position, pass = 1, pass + 1 end
  if passes > 0 and pass > passes then
    ended = 1
    return idle
  end
  sent = sent + 1
  local bodies = requests[position]
  return bodies[(pass - 1) % #bodies + 1]
end

function response(status, headers, body)
  if answered < sent and (counts_idle or body ~= IDLE_ANSWER) then
    answered, last_at = answered + 1, now()
    if status == 200 then done_well = done_well + 1
    elseif status == 202 then queued = queued + 1
    else
      other = other + 1
      if example == "" then example = status .. " " .. body:sub(1, 300):gsub('[%c"\\]', " ") end
    end
  end
  if ended == 1 and answered == sent then wrk.thread:stop() end
end

function done(summary, latency, _)
  local total = {sent = 0, answered = 0, ok = 0, queued = 0, other = 0}
  local first, last, example = math.huge, 0, ""
  for _, thread in ipairs(threads) do
    total.sent = total.sent + thread:get("sent")
    total.answered = total.answered + thread:get("answered")
    total.ok = total.ok + thread:get("done_well")
    total.queued = total.queued + thread:get("queued")
    total.other = total.other + thread:get("other")
    if example == "" then example = thread:get("example") end
    first = math.min(first, thread:get("first_at"))
    last = math.max(last, thread:get("last_at"))
  end
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format(
    'RESULT {"sent":%d,"answered":%d,"ok":%d,"queued":%d,"other":%d,"errors":%d,"elapsed_seconds":%.6f,' ..
    '"p50_ms":%.3f,"p99_ms":%.3f,"example":"%s"}\n',
    total.sent, total.answered, total.ok, total.queued, total.other, errors, last - first,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, example))
end
