// @ts-check
// Swagger UI, of what /openapi.json says.
/** @type {any} */ (window).SwaggerUIBundle({ url: "openapi.json", dom_id: "#swagger-ui", validatorUrl: null, tryItOutEnabled: true });
