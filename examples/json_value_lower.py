"""The function of the Flink blog post "Exploring the thread mode in PyFlink": JSON in, one field lowered, JSON out."""

from cloister import DataTypes, udf


@udf(result_type=DataTypes.STRING(), func_type="general")
def json_value_lower(s: str):
    import json
    a = json.loads(s)
    a['a'] = a['a'].lower()
    return json.dumps(a)
