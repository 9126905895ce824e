// The scripts, which compare and store, and know no rules: what is stored was made here. Each takes one key for each thing that is done, does one
// after the other, and lets none of them hinder the next. The bytes that they look at are those of value.ts; Lua counts them from 1.
//
// A script ends with a read of each key: a connection that is told of changes, but not of its own (NOLOOP), forgets a key that it changes itself,
// and would not be told when others do (as Redis 7.0 does, `trackingInvalidateKey`).

import { Script } from "../link/link.ts";
import { HEAD_BYTES, LENGTHS_AT, SUMMARY_BYTES } from "../value/value.ts";

/** ARGV: the versions that are known of all, one behind the other, or zeros. Answers, for each: the summary where it is that version, else the value, or nothing. */
export const READ: Script = new Script(`
local answers = {}
for i, key in ipairs(KEYS) do
  local summary = redis.pcall('GETRANGE', key, 0, ${SUMMARY_BYTES - 1})
  if type(summary) == 'table' or (#summary > 0 and string.sub(summary, 1, 8) == string.sub(ARGV[1], i * 8 - 7, i * 8)) then answers[i] = summary
  elseif #summary < ${SUMMARY_BYTES} then answers[i] = summary
  else answers[i] = redis.call('GET', key) end
end
return answers`);

/** Of what is to be done to one key: what, the version, the holder, the number (how many digits, and these), and of the bytes how many. */
export const ORDER_BYTES = 41;
export const NUMBER_DIGITS = 15;

/**
 * ARGV: one argument, for each costs the client and Redis as much as its bytes. First the orders for all, one behind the other, in 41 bytes each: what
 * is done, the version that is known (zeros: nothing), who we are for leases, a number in digits (to write one costs Redis more than to cut it out),
 * and a length (u32); then so many bytes for each.
 *
 *   c  stores the bytes until the number (ms of Redis' clock), where the version is the known one (nothing: there must be nothing) and nobody else
 *      has a lease. Answers 1
 *   a  as c, of a session that is there: puts the first of the bytes in the place of its summary, and the rest, a record, behind its last one.
 *      Answers 1
 *   l  gives the lease for so many ms. Answers the summary where the version is the known one, else the value
 *   t  stamps, with these bytes, a session of the known version whose stamp is older than a second, and keeps it until then. Answers the summary
 *   u  ends our lease: puts the bytes in its place. Answers 1
 *   x  stores the bytes until then whatever is there. Answers 1
 *
 * A server that is full takes nothing, not even the tombstone of a session that ends: then the key goes without one, for whoever signs out is to be
 * signed out.
 *
 * Where a thing is not done the answer is the value that is there, nothing, a number below 0 (another one has the lease for so many ms), or an error.
 */
export const WRITE: Script = new Script(`
local time = redis.call('TIME')
local ms = time[1] * 1000 + math.floor(time[2] / 1000)
local now = string.format('%013d', ms)
local answers = {}
local nothing = string.rep(string.char(0), 8)
local function stored(key, value, ...)
  local done = redis.pcall('SET', key, value, ...)
  if done.err then
    if string.sub(done.err, 1, 3) ~= 'OOM' or not string.find(value, '^T') or string.sub(value, ${HEAD_BYTES + 1}, ${HEAD_BYTES + 1}) ~= 'e' then return done end
    redis.call('DEL', key)
  end
  redis.call('GETRANGE', key, 0, 0)
  return 1
end
local function appended(key, bytes, untilMs)
  local body, marks, records = struct.unpack('>I4I4I4', string.sub(bytes, ${LENGTHS_AT + 1}))
  local record = string.sub(bytes, ${SUMMARY_BYTES + 1})
  local done = redis.pcall('SETRANGE', key, ${HEAD_BYTES} + body + marks + records - #record, record)
  if type(done) == 'table' then return done end
  redis.call('SETRANGE', key, 0, string.sub(bytes, 1, ${SUMMARY_BYTES}))
  redis.call('PEXPIREAT', key, untilMs)
  redis.call('GETRANGE', key, 0, 0)
  return 1
end
local function here(key, summary)
  if #summary < ${SUMMARY_BYTES} then return summary end
  return redis.call('GET', key)
end
local function one(key, what, known, holder, x, y)
  if what == 'x' then return stored(key, x, 'PXAT', y) end
  local summary = redis.pcall('GETRANGE', key, 0, ${SUMMARY_BYTES - 1})
  if type(summary) == 'table' then return summary end
  local version = #summary > 0 and string.sub(summary, 1, 8) or nothing
  if what == 'u' then
    if string.sub(summary, 9, 20) ~= holder then return 1 end
    local done = redis.pcall('SETRANGE', key, 8, x)
    if type(done) == 'table' then return done end
    redis.call('GETRANGE', key, 0, 0)
    return 1
  end
  if (what == 'c' or what == 'a') and version ~= known then return here(key, summary) end
  if what == 'l' and string.sub(summary, 1, 1) ~= 'S' then return here(key, summary) end
  if what == 't' then
    if version ~= known then return here(key, summary) end
    local startup, timeout = struct.unpack('<dd', string.sub(summary, ${HEAD_BYTES + 1}))
    local age = struct.unpack('<d', x) - startup
    if age < timeout and age > 1 / 86400 then
      local done = redis.pcall('SETRANGE', key, ${HEAD_BYTES}, x)
      if type(done) == 'table' then return done end
      redis.call('PEXPIREAT', key, y)
    end
    return redis.call('GETRANGE', key, 0, ${SUMMARY_BYTES - 1})
  end
  if string.sub(summary, 9, 20) ~= holder and string.sub(summary, 21, 33) > now then
    return ms - tonumber(string.sub(summary, 21, 33))
  end
  if what == 'c' then return stored(key, x, 'PXAT', y) end
  if what == 'a' then return appended(key, x, y) end
  local done = redis.pcall('SETRANGE', key, 8, holder .. string.format('%013d', ms + tonumber(y)))
  if type(done) == 'table' then return done end
  if version ~= known then return redis.call('GET', key) end
  return redis.call('GETRANGE', key, 0, ${SUMMARY_BYTES - 1})
end
local all = ARGV[1]
local at = #KEYS * ${ORDER_BYTES} + 1
for i, key in ipairs(KEYS) do
  local from = (i - 1) * ${ORDER_BYTES} + 1
  local digits, length = string.byte(all, from + 21), struct.unpack('>I4', all, from + 37)
  local what, known, holder = string.sub(all, from, from), string.sub(all, from + 1, from + 8), string.sub(all, from + 9, from + 20)
  answers[i] = one(key, what, known, holder, string.sub(all, at, at + length - 1), string.sub(all, from + 22, from + 21 + digits))
  at = at + length
end
return answers`);

/** Writes what is there already: a write of this connection, behind which replicas can be waited for. */
export const CONFIRM: Script = new Script(`
local first = redis.call('GETRANGE', KEYS[1], 0, 0)
if #first > 0 then
  redis.call('SETRANGE', KEYS[1], 0, first)
  redis.call('GETRANGE', KEYS[1], 0, 0)
end
return 1`);

/** What a list needs of each: the summary. */
export const LOOK: Script = new Script(`
local answers = {}
for i, key in ipairs(KEYS) do answers[i] = redis.pcall('GETRANGE', key, 0, ${SUMMARY_BYTES - 1}) end
return answers`);

/** Arguments of each key of INDEX. */
export const INDEX_ARGUMENTS = 3;

/**
 * The sessions of a prefix in an order: that in which they came, or asked to be the last. KEYS: of the indexes; ARGV, three for each: the id, "add" or
 * "last", and for how many ms the index is kept at least. Answers its place (microseconds) and how many there are, one after the other.
 */
export const INDEX: Script = new Script(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local answers = {}
for i, key in ipairs(KEYS) do
  local a = (i - 1) * ${INDEX_ARGUMENTS}
  local id, what, keepMs = ARGV[a + 1], ARGV[a + 2], tonumber(ARGV[a + 3])
  local place = redis.call('ZSCORE', key, id)
  if what == 'last' and (not place or tonumber(place) < 0) then place = ''
  elseif not place or what == 'last' then
    local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
    place = string.format('%.0f', math.max(now, (tonumber(last[2]) or 0) + 1))
    redis.call('ZADD', key, place, id)
  end
  if redis.call('PTTL', key) < keepMs then redis.call('PEXPIRE', key, ARGV[a + 3]) end
  answers[i * 2 - 1] = place
  answers[i * 2] = redis.call('ZCARD', key)
end
return answers`);

/**
 * What is in one index. ARGV: what is asked for, and one more.
 *
 *   below   the ids whose place is below this one
 *   some    so many of them, by chance, each with its place behind it
 *   claim   this id, behind a place and a space, if its own place is before that one: it is never raised again. Answers 1, or 0
 *   remove  this id
 */
export const MEMBERS: Script = new Script(`
local key, what, x = KEYS[1], ARGV[1], ARGV[2]
if what == 'below' then return redis.call('ZRANGEBYSCORE', key, '-inf', '(' .. x) end
if what == 'some' then return redis.call('ZRANDMEMBER', key, x, 'WITHSCORES') end
if what == 'claim' then
  local before, id = string.match(x, '^(%d+) (.*)$')
  local place = redis.call('ZSCORE', key, id)
  if not place or tonumber(place) >= tonumber(before) then return 0 end
  redis.call('ZADD', key, -1, id)
  return 1
end
return redis.call('ZREM', key, x)`);
