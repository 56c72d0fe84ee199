"""What `make run` prints when it serves: where, and a request per dialect to paste into a shell."""

from deploy.dev.rundir import Ports

TEMPLATE = """\
ready http://127.0.0.1:{gateway}
  api  http://127.0.0.1:{api}/penstock/v1/me  (Authorization: Bearer dev-admin-token)
  logs {home}/log

Send an event of each dialect:

curl http://127.0.0.1:{gateway}/ingest/batch -H 'Authorization: Bearer dev-relo-token' \\
  -H 'Content-Type: application/json' \\
  -d '{{"events":[{{"t":"page_view","ts":'$(date +%s)'000,"cid":3,"did":"device-1","url":"https://a.example/"}}]}}'

curl http://127.0.0.1:{gateway}/api/v1/events -H 'x-api-key: ak_dev' \\
  -H 'Content-Type: application/json' \\
  -d '{{"events":[{{"eventType":"search","visitorId":"visitor-1","query":"blue shirt"}}]}}'

curl -i http://127.0.0.1:{gateway}/v2.2/stores/dev-store/events -H 'Authorization: Bearer dev-redo-secret' \\
  -H 'Content-Type: application/json' \\
  -d '{{"eventName":"Order Placed","customer":{{"email":"ana@a.example"}},"value":5,"valueCurrency":"USD"}}'

curl http://127.0.0.1:{gateway}/api/v1/analytics/track -H 'Content-Type: application/json' \\
  -d '{{"tenant_id":"mi-negocio","type":"whatsapp_click","product_id":101}}'

curl http://127.0.0.1:{gateway}/api/v1/analytics/conversion -H 'Content-Type: application/json' \\
  -d '{{"tenant_slug":"mi-negocio","transaction_id":"txn-1","value":150.00}}'

curl http://127.0.0.1:{gateway}/api/v1/interactions -H 'Content-Type: application/json' \\
  -d '{{"tenant_id":1,"type":"view"}}'

See the rows, in another terminal:

PENSTOCK_HOME='{home}' {penstock} query 'select dialect, event_name, subject, received_at from events'

Ctrl-C stops everything.
"""


def text(ports: Ports, home: str, penstock: str) -> str:
    """Return the page; `home` is the directory of state, `penstock` how the command is called here."""
    return TEMPLATE.format(gateway=ports.gateway, api=ports.api, home=home, penstock=penstock)
