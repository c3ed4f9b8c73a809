-- The breaker of one endpoint: closed, open, or open with one probe on its way (half-open).
-- All times are whole microseconds, on the server's clock unless a test gives its own.
--
-- KEYS[1]  hash: calls and failures of the closed breaker, one field a second (`c:SECOND`, `f:SECOND`)
-- KEYS[2]  hash: `opened_at`, `rest` (how long it rests before the next probe), `probe_at`, `why` (the latest failure);
--          `probe` and `probe_until` while one is on its way. No key: closed.
-- ARGV     1 verb, 2 now ("" for the server's clock), 3 rolling window, 4 calls that were answered and not reported yet (they
--          count first, unless it is open), then by verb:
--   admit    5 token, 6 how long a probe may take before another one is let through
--            -> {"closed"} | {"probe"}  make the call, then report or release it
--            -> {"open", wait, why}  do not: ask again after `wait`
--   report   5 token, 6 "ok" or "failed", 7 why, 8 fewest calls that count, 9 share of failures in percent,
--            10 first rest, 11 longest rest
--            -> {"closed"} | {"opened", rest} | {"open", rest} | {"recovered", how long it was open}
--            "open": the probe failed, or the call had begun before the breaker opened, which says nothing about now
--   release  5 token -> {"released"}  the call was not made: its probe is free for another one
--   probe    -> {"open" or "closed"}  let the next call through as the probe, now
--   state    -> {"closed" | "open" | "probing", wait, why, calls, failures, how long it has been open}

local counts, state = KEYS[1], KEYS[2]
local verb = ARGV[1]
local window = tonumber(ARGV[3])
local SECOND, DAY_MS = 1000000, 86400000

local function present()
  if ARGV[2] ~= '' then return tonumber(ARGV[2]) end
  local time = redis.call('TIME')
  return tonumber(time[1]) * SECOND + tonumber(time[2])
end

local now = present()

local function text(number)
  return string.format('%.0f', number)
end

local function get(field)
  return redis.call('HGET', state, field) or ''
end

local function moment(field)
  return tonumber(redis.call('HGET', state, field) or '0')
end

local function put(...)
  redis.call('HSET', state, ...)
  redis.call('PEXPIRE', state, DAY_MS)
end

local is_open = redis.call('EXISTS', state) == 1

-- Calls and failures within the window; what is older is forgotten.
local function counted()
  local oldest = math.floor((now - window) / SECOND)
  local calls, failures = 0, 0
  local fields = redis.call('HGETALL', counts)
  for i = 1, #fields, 2 do
    local name, number = fields[i], tonumber(fields[i + 1])
    if tonumber(string.sub(name, 3)) <= oldest then
      redis.call('HDEL', counts, name)
    elseif string.sub(name, 1, 1) == 'c' then
      calls = calls + number
    else
      failures = failures + number
    end
  end
  return calls, failures
end

local function count(number, failures)
  if number == 0 then return end
  local second = text(math.floor(now / SECOND))
  redis.call('HINCRBY', counts, 'c:' .. second, number)
  if failures > 0 then redis.call('HINCRBY', counts, 'f:' .. second, failures) end
  redis.call('PEXPIRE', counts, text(math.ceil(window / 1000) + 2000))
end

local function wait()
  if now < moment('probe_until') then return moment('probe_until') - now end
  return math.max(0, moment('probe_at') - now)
end

local function admit(token, lease)
  if not is_open then return {'closed'} end
  if wait() > 0 then return {'open', wait(), get('why')} end
  put('probe', token, 'probe_until', text(now + lease))
  return {'probe'}
end

local function probed(failed, why, longest)
  if failed then
    local rest = math.min(moment('rest') * 2, longest)
    put('rest', text(rest), 'probe_at', text(now + rest), 'why', why)
    redis.call('HDEL', state, 'probe', 'probe_until')
    return {'open', rest}
  end
  local lasted = now - moment('opened_at')
  redis.call('DEL', state, counts)
  return {'recovered', lasted}
end

local function report(token, failed, why, fewest, share, first, longest)
  if is_open then
    if get('probe') == token then return probed(failed, why, longest) end
    return {'open', wait()}
  end
  if not failed then
    count(1, 0)
    return {'closed'}
  end
  count(1, 1)
  local calls, failures = counted()
  if calls < fewest or failures * 100 < calls * share then return {'closed'} end
  put('opened_at', text(now), 'rest', text(first), 'probe_at', text(now + first), 'why', why)
  redis.call('DEL', counts)
  return {'opened', first}
end

if not is_open then count(tonumber(ARGV[4]), 0) end
if verb == 'admit' then return admit(ARGV[5], tonumber(ARGV[6])) end
if verb == 'report' then
  return report(
    ARGV[5], ARGV[6] == 'failed', ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
  )
end
if verb == 'release' then
  if get('probe') == ARGV[5] then redis.call('HDEL', state, 'probe', 'probe_until') end
  return {'released'}
end
if verb == 'probe' then
  if not is_open then return {'closed'} end
  put('probe_at', text(now))
  redis.call('HDEL', state, 'probe', 'probe_until')
  return {'open'}
end
local calls, failures = counted()
if not is_open then return {'closed', 0, '', calls, failures, 0} end
local name = 'open'
if now < moment('probe_until') then name = 'probing' end
return {name, wait(), get('why'), calls, failures, now - moment('opened_at')}
