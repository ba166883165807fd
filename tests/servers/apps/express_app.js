// Express with cookie-parser, with its usual settings: routes ignore letter case.
const express = require("express");
const cookieParser = require("cookie-parser");

const app = express();
app.use(cookieParser());

for (const handler of ["admin", "public", "login", "hooks", "account"]) {
  app.all([`/${handler}`, `/${handler}/{*rest}`], (request, response) => {
    const { k } = request.query;
    response.json({
      handler,
      method: request.method,
      path: request.path,
      host: request.get("host"),
      cookie: request.cookies.session ?? null,
      query: (Array.isArray(k) ? k[0] : k) ?? null,
      x_user: request.get("x-user") ?? null,
      api_key: request.get("x-api-key") ?? null,
    });
  });
}
// A path that cannot be decoded is expected, so it is not logged.
app.use((error, request, response, next) => response.status(400).json({ handler: null }));

app.listen(Number(process.argv[2]), "127.0.0.1");
