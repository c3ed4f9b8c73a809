"""The Celery tasks of every flow (`orders.sync`, `orders.fetch`, `orders.transform`, `orders.push`), pump and canary."""

from syncengine import settings
from syncengine.tasks.canary import make_canary
from syncengine.tasks.made import make_tasks
from syncengine.tasks.watchdog import watch_over_workers

make_tasks()
make_canary(settings.load())
watch_over_workers()
