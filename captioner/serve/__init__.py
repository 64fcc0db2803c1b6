"""A page in the browser and an HTTP endpoint for captions. Needs Gradio, which brings FastAPI and uvicorn."""
