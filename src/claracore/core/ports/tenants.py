"""Which programs are used to which ports?

A small list of what people run on the same machine as models, beyond 1023: a model on such a port works until the
tenant comes home. From the documentation of each product.
"""

from __future__ import annotations

WELL_KNOWN = {
    1234: "LM Studio",
    3000: "Open WebUI and many web applications",
    3306: "MySQL",
    3389: "Remote Desktop",
    5000: "Flask and AirPlay",
    5432: "PostgreSQL",
    5672: "RabbitMQ",
    6333: "Qdrant",
    6379: "Redis",
    7860: "Gradio and Stable Diffusion web UI",
    8000: "vLLM and many web applications",
    8080: "llama-server and many web applications",
    8086: "InfluxDB",
    8096: "Jellyfin",
    8123: "Home Assistant",
    8188: "ComfyUI",
    8265: "the Ray dashboard",
    8384: "Syncthing",
    8443: "alternative HTTPS",
    8500: "Consul",
    8581: "Homebridge",
    8686: "Lidarr",
    8834: "Nessus",
    8888: "Jupyter",
    8989: "Sonarr",
    9000: "MinIO and Portainer",
    9090: "Prometheus and Cockpit",
    9091: "Transmission",
    9100: "Prometheus node exporter and printers",
    9200: "Elasticsearch",
    9443: "Portainer",
    10000: "Webmin",
    11434: "Ollama",
    19530: "Milvus",
    25565: "Minecraft",
    27017: "MongoDB",
    32400: "Plex",
}
