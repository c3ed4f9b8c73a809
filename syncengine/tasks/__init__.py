"""The Celery tasks, made from the flows: `orders.sync`, `orders.fetch`, `orders.transform`, `orders.push`, and the pump."""

from syncengine.tasks.made import make_tasks

make_tasks()
