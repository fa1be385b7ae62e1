// Shows the API's description with what the server itself has. The key is the one that the interface keeps.
SwaggerUIBundle({
  url: new URL('../../openapi.json', document.currentScript.src).pathname,
  dom_id: '#operations',
  deepLinking: true,
  validatorUrl: null,
  requestInterceptor: (request) => {
    const key = localStorage.getItem('claracore.key');
    if (key && new URL(request.url, location.href).origin === location.origin) {
      request.headers.Authorization ??= `Bearer ${key}`;
    }
    return request;
  },
});
