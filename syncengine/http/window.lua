-- The exact rolling window of one pool of calls: at most `cap` slots in any `window` (length plus guard).
-- All times are whole microseconds, on the server's clock unless a test gives its own.
--
-- KEYS[1]  sorted set: slot -> the time at which its call may leave (our own calls, and phantoms of foreign ones)
-- KEYS[2]  hash: `known` 1 once the window reflects the system's own count; `probe_until` while one call is on its way
--          to find that out; `closed_until` after the system refused a call. No key: the state was lost, or never was.
-- ARGV     1 verb, 2 now ("" for the server's clock), 3 cap, 4 window, 5 guard, then by verb:
--   reserve  6 slot, 7 patience, 8 how long a probe may take
--            -> {"go", wait}  booked, the call may leave after `wait`
--            -> {"later", wait}  not booked: the wait would be longer than the patience
--            -> {"unknown", wait}  not booked: a probe is on its way, ask again after `wait`
--   learn    6 calls that the system counted in its window, 7 time until its window resets -> {"learned", phantoms added}
--   close    6 for how long -> {"closed", wait}
--   return   6 slot -> {"returned", 0 or 1}
--   usage    -> {"usage", slots taken, closed for, known 0 or 1}

local slots, state = KEYS[1], KEYS[2]
local verb = ARGV[1]
local cap, window, guard = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local function present()
  if ARGV[2] ~= '' then return tonumber(ARGV[2]) end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function text(number)
  return string.format('%.0f', number)
end

local now = present()

local function moment(field)
  return tonumber(redis.call('HGET', state, field) or '0')
end

-- A slot counts until a whole window has passed since its time; two calls exactly one window apart do not meet.
local function forget_the_past()
  redis.call('ZREMRANGEBYSCORE', slots, '-inf', text(now - window))
end

local function put(slot, at)
  redis.call('ZADD', slots, text(at), slot)
  local last = redis.call('ZREVRANGE', slots, 0, 0, 'WITHSCORES')
  redis.call('PEXPIRE', slots, text(math.ceil((tonumber(last[2]) + window - now) / 1000) + 1000))
end

-- The earliest time for one more slot. With fewer than `cap` slots alive none of them can be one too many; else one
-- window after the cap-th latest, since every window that holds the new slot then begins after that one.
local function earliest()
  local at = math.max(now, moment('closed_until'))
  local alive = redis.call('ZCARD', slots)
  if alive >= cap then
    local first = redis.call('ZRANGE', slots, alive - cap, alive - cap, 'WITHSCORES')
    at = math.max(at, tonumber(first[2]) + window)
  end
  return at
end

local function reserve(slot, patience, probe_time)
  local booked = tonumber(redis.call('ZSCORE', slots, slot) or '0')
  local closed_until = moment('closed_until')
  if booked > 0 and booked >= closed_until and now - booked <= guard then
    return {'go', math.max(0, booked - now)}
  end
  if booked > 0 then redis.call('ZREM', slots, slot) end  -- late, or the gate was closed meanwhile: book anew

  local known = redis.call('HGET', state, 'known') == '1'
  local probe_until = moment('probe_until')
  if not known and now < probe_until and redis.call('HGET', state, 'probe') ~= slot then
    return {'unknown', probe_until - now}
  end
  local at = earliest()
  if at - now > patience then return {'later', at - now} end
  if not known then
    redis.call('HSET', state, 'probe_until', text(at + probe_time), 'probe', slot)
  end
  put(slot, at)
  return {'go', at - now}
end

-- What the system counted beyond what we know of came from others, or from us before the state was lost. Of a window
-- just found again nothing else is known: its calls are taken to be spread evenly, the oldest leaving at the reset.
-- Otherwise they count until the reset, and the next answer corrects that.
local function learn(counted, resets_in)
  local seeding = redis.call('HGET', state, 'known') ~= '1'
  local missing = counted - redis.call('ZCOUNT', slots, '-inf', text(now))
  resets_in = math.min(math.max(resets_in, 0), window - guard)
  redis.call('HSET', state, 'known', '1')
  redis.call('HDEL', state, 'probe_until', 'probe')
  local serial = 0
  if missing > 0 then serial = redis.call('HINCRBY', state, 'phantoms', missing) end
  for i = 1, missing do
    local ends_in = resets_in
    if seeding then ends_in = resets_in + (window - guard - resets_in) * (i - 1) / missing end
    put('phantom:' .. text(serial - i), math.floor(now + ends_in + guard - window))
  end
  return {'learned', math.max(0, missing)}
end

local function close(for_time)
  local closed_until = math.max(moment('closed_until'), now + for_time)
  redis.call('HSET', state, 'closed_until', text(closed_until))
  return {'closed', closed_until - now}
end

local function give_back(slot)
  if redis.call('HGET', state, 'probe') == slot then
    redis.call('HDEL', state, 'probe_until', 'probe')
  end
  return {'returned', redis.call('ZREM', slots, slot)}
end

forget_the_past()
if verb == 'reserve' then return reserve(ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])) end
if verb == 'learn' then return learn(tonumber(ARGV[6]), tonumber(ARGV[7])) end
if verb == 'close' then return close(tonumber(ARGV[6])) end
if verb == 'return' then return give_back(ARGV[6]) end
local known = 0
if redis.call('HGET', state, 'known') == '1' then known = 1 end
return {'usage', redis.call('ZCARD', slots), math.max(0, moment('closed_until') - now), known}
