-- Whole numbers within the exact range of a double. `..` would write 1e+15, hence num() in every packed record.
local MAX_UNITS = 9007199254740991
local format = string.format

-- %d is exact in the whole range (a C long) and prints -0 as 0; it is also the fastest of the exact forms.
local function num(n)
  return format('%d', n)
end

-- A number field of a record: missing and empty are 0.
local function toNumber(text)
  if not text or text == '' then
    return 0
  end
  return tonumber(text)
end

-- A delta as it stands in an entry: 0 is empty text.
local function delta(n)
  if n == 0 then
    return ''
  end
  return format('%d', n)
end
