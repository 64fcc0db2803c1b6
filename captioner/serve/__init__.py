"""A page in the browser and an HTTP endpoint for captions. Needs Starlette, uvicorn and prometheus-client."""
