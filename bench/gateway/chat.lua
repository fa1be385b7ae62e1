-- The body's length changes from request to request, as it does in life: no two heads in a row are equal.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer secret"
local count = 0
local spread = tonumber(os.getenv("SPREAD") or "1")
local filler = string.rep("x", 4096)
function request()
  count = count + 1
  local body = '{"model":"smol","messages":[{"role":"user","content":"' .. filler:sub(1, 110 + count % spread) .. '"}],"stream":false}'
  return wrk.format(nil, nil, nil, body)
end
