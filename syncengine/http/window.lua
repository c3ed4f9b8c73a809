-- The exact rolling window of one pool of calls, and the order in which those wait who want a slot of it.
--
-- A slot is taken only at the present, and only while fewer than `cap` are alive: so no window ever holds more. Nothing
-- is booked ahead. Who must wait gets a place in a line and the time at which to ask again; a waiter who died is passed
-- over, a slot given back or a window found fuller than thought moves nobody's bookings, since there are none.
--   realtime  in order of arrival, as soon as a slot is free.
--   other lanes  take turns, within a lane in order of arrival; one slot each window/cap, and only slots that have been
--                free for `slack`: so that one is there when realtime work comes.
-- All times are whole microseconds, on the server's clock unless a test gives its own.
--
-- KEYS[1]  slots: sorted set, slot -> the time at which its call may leave (ours, and phantoms of foreign calls)
-- KEYS[2]  state: hash. `known` 1 once the window reflects the system's own count; `probe`, `probe_until` while one call
--          is on its way to find that out; `closed_until` after the system refused a call; `pace` when the next paced
--          slot may be taken; `turn`, `turn:LANE` the place in line served last, of all and of a lane; `run` realtime
--          slots since a paced one, while one was wanted; `phantoms` a serial. No hash: the state was lost, or never was.
-- KEYS[3]  urgent: sorted set, realtime waiter -> when it came
-- KEYS[4]  paced: sorted set, other waiter -> its place in line
-- KEYS[5]  due: sorted set, waiter -> when it must ask again
-- ARGV     1 verb, 2 now ("" for the server's clock), 3 cap, 4 window, 5 guard, 6 slack, then by verb:
--   reserve  7 slot, 8 lane, 9 patience, 10 how long a probe may take
--            -> {"go", 0, age}  the slot is taken and was `age` ago: the call may leave
--            -> {"wait", wait, 0}  a place in line is held; ask again, for the same slot, after `wait`
--            -> {"later", wait, 0}  the wait would be longer than the patience; no place is held
--            -> {"unknown", wait, 0}  no place is held: a probe is on its way, ask again after `wait`
--   learn    7 calls that the system counted in its window, 8 time until its window resets, 9 time since it counted,
--            10 how many of these others may have made: what is left to them by `cap`
--            -> {"learned", phantoms added}
--   close    7 for how long -> {"closed", wait}
--   return   7 slot -> {"returned", 0 or 1}
--   doubt    -> {"doubted"}  the state may be older than the latest calls: it is not known any more
--   usage    -> {"usage", slots taken, closed for, known 0 or 1, waiters, wait of a paced newcomer}

local LATE = 50000  -- how late a waiter may wake before others pass it
local GONE = 5000000  -- how late a waiter may be before its place in line is lost
local KEPT = 60000000  -- how much longer than a window slots are remembered, to compare them with late answers
local SET_BACK = 1000000  -- slots are never in the future: one that is by so much tells that the clock was set back
local RUN = 9  -- realtime slots in a row while others wait, after which one is theirs

local slots, state, urgent, paced, due = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local verb = ARGV[1]
local cap, window, guard, slack = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local pace = math.ceil((window + slack) / cap)

local function present()
  if ARGV[2] ~= '' then return tonumber(ARGV[2]) end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function text(number)
  return string.format('%.0f', number)
end

local now = present()

-- The fields of `state`, read once: no verb reads what it wrote itself.
local fields = {}

local function read_fields()
  local found = redis.call('HGETALL', state)
  for i = 1, #found, 2 do fields[found[i]] = found[i + 1] end
end

local function number(field)
  return tonumber(fields[field] or '0')
end

-- A slot counts until a whole window has passed since its time; two calls exactly one window apart do not meet.
-- Counted once, and again after a slot was put.
local alive = {}

local function alive_in(length)
  alive[length] = alive[length] or redis.call('ZCOUNT', slots, '(' .. text(now - length), '+inf')
  return alive[length]
end

local function keep(key, for_time)
  redis.call('PEXPIRE', key, text(math.ceil(for_time / 1000) + 1000))
end

local function put(slot, at)
  redis.call('ZADD', slots, text(at), slot)
  alive = {}
  keep(slots, window + slack + KEPT)
end

-- When one more slot fits into a window of `length`, after `rank` others that come first. Each of these needs one more
-- of the slots alive to leave, oldest first; beyond `cap` of them, the first of themselves.
local function fits_at(length, rank)
  local taken = alive_in(length)
  local leaving = taken - cap + rank
  if leaving < 0 then return now end
  if leaving >= taken then return fits_at(length, rank - cap) + length end
  local place = leaving - taken  -- counted from the youngest, which is -1
  return tonumber(redis.call('ZRANGE', slots, place, place, 'WITHSCORES')[2]) + length
end

-- Of the waiters in `line` before `order`: how many are expected at this moment, and how many come at all, these too.
-- Waiters that did not ask in time are passed over.
local function ahead_of(line, order)
  local expected, coming = 0, redis.call('ZCOUNT', line, '-inf', '(' .. text(order))
  if coming == 0 then return 0, 0 end
  local called = redis.call('ZRANGEBYSCORE', due, '-inf', text(now), 'WITHSCORES')
  for i = 1, #called, 2 do
    local place = tonumber(redis.call('ZSCORE', line, called[i]) or math.huge)
    if place < order then
      if tonumber(called[i + 1]) < now - LATE then coming = coming - 1 else expected = expected + 1 end
    end
  end
  return expected, coming
end

-- After a run of realtime slots the next one is for those who wait longest; until when must realtime hold back?
local function owed_until()
  if number('run') < RUN then return now end
  local called = redis.call('ZRANGEBYSCORE', due, text(now - LATE), text(now + pace + slack), 'WITHSCORES')
  for i = 1, #called, 2 do
    if redis.call('ZSCORE', paced, called[i]) then
      return math.max(tonumber(called[i + 1]), now) + LATE / 10
    end
  end
  return now
end

local function urgent_at(order)
  local expected, coming = ahead_of(urgent, order)
  local from = math.max(number('closed_until'), owed_until())
  if from <= now and fits_at(window, expected) <= now then return now end
  local at = math.max(from, fits_at(window, coming))
  if math.max(from, fits_at(window, 0)) <= now + LATE then at = math.min(at, now + LATE) end  -- they may be dead
  return at
end

local function paced_at(order)
  local expected, coming = ahead_of(paced, order)
  local rivals = ahead_of(urgent, math.huge)
  local from, free_from = number('closed_until'), number('pace')
  local function at_rank(rank, length)
    return math.max(from, free_from + rank * pace, fits_at(length, rank + rivals))
  end
  if at_rank(expected, window + slack) <= now then return now end
  local at = at_rank(coming, window + slack)
  if at_rank(0, window + slack) <= now + LATE then at = math.min(at, now + LATE) end
  return math.max(at, now + 1)
end

-- The time between this paced slot and the next. Where many slots leave at once later on, the free ones are spread over
-- the time until then, less a few for realtime work; unevenness of less than four slots is left to even out by itself.
local function breath()
  local length = window + slack
  local taken = alive_in(length)
  local free = math.max(0, cap - taken) - math.min(3, math.floor(cap / 20))
  local longest = pace
  for leaving = 0, taken - 1, math.ceil(taken / 16) do
    local place = leaving - taken
    local leaves_at = tonumber(redis.call('ZRANGE', slots, place, place, 'WITHSCORES')[2]) + length
    longest = math.max(longest, (leaves_at - now - 4 * pace) / math.max(1, free + leaving + 1))
  end
  return math.floor(longest)
end

-- The place in line of a newcomer: behind the last of its own lane, level with the first of the others.
local function place_of(lane)
  local last = math.max(number('turn'), number('turn:' .. lane))
  for _, waiter in ipairs(redis.call('ZREVRANGE', paced, 0, -1)) do
    if string.sub(waiter, 1, #lane + 1) == lane .. ':' then
      last = math.max(last, tonumber(redis.call('ZSCORE', paced, waiter)))
      break
    end
  end
  return last + 1
end

-- Behind all who came before, also within one microsecond.
local function next_urgent()
  local last = redis.call('ZREVRANGE', urgent, 0, 0, 'WITHSCORES')
  return math.max(now, tonumber(last[2] or '0') + 1)
end

local function leave(slot)
  return redis.call('ZREM', urgent, slot) + redis.call('ZREM', paced, slot) + redis.call('ZREM', due, slot)
end

local function note_paced(lane, order)
  local from = math.max(number('pace'), now - pace)  -- a slot taken late is made up for, one at most
  redis.call('HSET', state, 'pace', text(from + breath()), 'turn', text(math.max(number('turn'), order)),
             'turn:' .. lane, text(order), 'run', '0')
end

local function probe(slot, patience, probe_time)
  local probe_until = number('probe_until')
  if now < probe_until and fields.probe ~= slot then
    return {'unknown', probe_until - now, 0}
  end
  local at = math.max(number('closed_until'), fits_at(window, 0))
  if at <= now then
    redis.call('HSET', state, 'probe_until', text(now + probe_time), 'probe', slot)
    put(slot, now)
    return {'go', 0, 0}
  end
  return {at - now > patience and 'later' or 'wait', at - now, 0}
end

local function reserve(slot, lane, patience, probe_time)
  local taken = tonumber(redis.call('ZSCORE', slots, slot) or '0')
  if taken > 0 and taken >= number('closed_until') and now - taken <= guard then
    return {'go', 0, math.max(0, now - taken)}
  end
  if taken > 0 then redis.call('ZREM', slots, slot) end  -- late, or the gate was closed meanwhile: begin again
  if fields.known ~= '1' then return probe(slot, patience, probe_time) end

  local is_urgent = lane == 'realtime'
  local line = is_urgent and urgent or paced
  local held = redis.call('ZSCORE', line, slot)
  local order = held and tonumber(held) or (is_urgent and next_urgent() or place_of(lane))
  local at = is_urgent and urgent_at(order) or paced_at(order)
  if at <= now then
    if held then leave(slot) end
    put(slot, now)
    if not is_urgent then
      note_paced(lane, order)
    elseif redis.call('EXISTS', paced) == 1 then
      redis.call('HINCRBY', state, 'run', 1)
    end
    return {'go', 0, 0}
  end
  if at - now > patience then
    if held then leave(slot) end
    return {'later', at - now, 0}
  end
  if not held then redis.call('ZADD', line, text(order), slot) end
  redis.call('ZADD', due, text(at), slot)
  keep(line, at - now + window)
  keep(due, at - now + window)
  return {'wait', at - now, 0}
end

-- What the system counted beyond what we know of came from others, or from us before the state was lost. Others take
-- from what is left to them first: only calls beyond that take room from ours, until the reset, and the next answer
-- corrects that. Of a window just found again nothing is known, and all may have been ours: its calls are taken to be
-- spread evenly, the oldest leaving at the reset.
local function learn(counted, resets_in, age, left_to_others)
  local seeding = fields.known ~= '1'
  local ours = redis.call('ZCOUNT', slots, '(' .. text(now - age - window), text(now))
  local missing = math.max(0, (seeding and math.min(counted, cap) or counted - left_to_others) - ours)
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
  return {'learned', missing}
end

local function close(for_time)
  local closed_until = math.max(number('closed_until'), now + for_time)
  redis.call('HSET', state, 'closed_until', text(closed_until))
  return {'closed', closed_until - now}
end

local function give_back(slot)
  if fields.probe == slot then
    redis.call('HDEL', state, 'probe_until', 'probe')
  end
  leave(slot)
  local returned = redis.call('ZREM', slots, slot)
  if returned == 1 and string.sub(slot, 1, 9) ~= 'realtime:' then
    redis.call('HSET', state, 'pace', text(math.max(0, number('pace') - pace)))
  end
  return {'returned', returned}
end

local function forget_the_past()
  redis.call('ZREMRANGEBYSCORE', slots, '-inf', text(now - window - slack - KEPT))
  local gone = redis.call('ZRANGEBYSCORE', due, '-inf', text(now - GONE))
  for _, waiter in ipairs(gone) do leave(waiter) end
end

-- A server whose clock was set back would hold every slot for so much longer: they count from now, the rest is unknown.
local function correct_the_clock()
  local newest = redis.call('ZREVRANGE', slots, 0, 0, 'WITHSCORES')[2]
  if not newest or tonumber(newest) <= now + SET_BACK then return end
  for _, slot in ipairs(redis.call('ZRANGEBYSCORE', slots, '(' .. text(now), '+inf')) do put(slot, now) end
  redis.call('DEL', state, urgent, paced, due)
end

correct_the_clock()
forget_the_past()
if verb == 'doubt' then
  redis.call('HDEL', state, 'known')
  return {'doubted'}
end
read_fields()
if verb == 'reserve' then return reserve(ARGV[7], ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10])) end
if verb == 'learn' then return learn(tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])) end
if verb == 'close' then return close(tonumber(ARGV[7])) end
if verb == 'return' then return give_back(ARGV[7]) end

local is_known, closed_for = fields.known == '1', math.max(0, number('closed_until') - now)
local paced_wait = is_known and math.max(0, paced_at(place_of('backfill')) - now) or closed_for
return {'usage', alive_in(window), closed_for, is_known and 1 or 0,
        redis.call('ZCARD', urgent) + redis.call('ZCARD', paced), paced_wait}
